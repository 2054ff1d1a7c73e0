"""The person who asked as a checker: "not good enough" refuses, silence says nothing."""

from router.checking.base import Check, Checked, reject, unknown


class PersonChecker:
    """What the person who asked said of the answer. Who says nothing has not accepted it."""

    name = "person"
    version = 1
    covers = "every answer of the chat"
    wants_second_answer = False
    reads_conversations = True

    def check(self, checked: Checked) -> Check:
        """Reject what was refused; of anything else nothing is known."""
        if checked.is_refused:
            return reject("The person who asked found it not good enough.")
        return unknown("The person who asked has not refused it, which is no approval.")
