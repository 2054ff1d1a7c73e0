"""Why a figure of quality is missing, in words: for the pages and the files."""

NO_GOLD = "no label on a gold answer"
NO_REPEAT = "no answer was shown again"
NOT_TIMED = "no label was timed"
NO_GRADE = "no blind label on an answer that a grader decided"
NO_JUDGEMENT = "only answers shown again"
