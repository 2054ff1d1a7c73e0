import pytest

from labeling.keys import ACTIONS, changed_keys, keys_of, problems_of


class TestKeys:
    def test_of_nobody_are_the_first_ones_and_can_be_used(self) -> None:
        assert keys_of({}) == {action.name: action.key for action in ACTIONS}
        assert problems_of(keys_of({})) == {}
        assert changed_keys(keys_of({})) == {}

    def test_keep_only_what_was_changed(self) -> None:
        assert changed_keys({**keys_of({}), "correct": "j"}) == {"correct": "j"}
        assert keys_of({"correct": "j"})["correct"] == "j"

    def test_leave_an_action_without_one_whose_first_key_is_taken(self) -> None:
        assert keys_of({"correct": "e"})["evidence"] == ""

    @pytest.mark.parametrize(("key", "said"), [("", "Type one key"), ("ab", "not one key"), ("\x07", "not one key")])
    def test_that_are_no_key_are_told(self, key: str, said: str) -> None:
        assert said in problems_of({**keys_of({}), "skip": key})["skip"]

    def test_of_two_actions_may_not_be_the_same(self) -> None:
        problems = problems_of({**keys_of({}), "incorrect": "a"})
        assert problems == {"incorrect": "“a” is already the key of “Correct”: choose another for one of them."}
