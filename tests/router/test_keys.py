from datetime import timedelta

import pytest

from router.keys import create_key, find_key, note_use, revoke_key
from router.models import ApiKey
from tests import factories as make

pytestmark = pytest.mark.django_db


class TestKey:
    def test_opens_the_door_for_its_owner(self) -> None:
        owner = make.make_user()
        made = create_key(owner_id=owner.pk, name="laptop")
        found = find_key(secret=made.secret)
        assert found == made.key
        assert (found.owner, found.name) == (owner, "laptop")

    def test_is_stored_only_as_a_hash_and_a_prefix(self) -> None:
        made = create_key(owner_id=make.make_user().pk, name="laptop")
        row = ApiKey.objects.values().get()
        assert made.secret not in str(row)
        assert made.secret.startswith(row["prefix"])
        assert len(made.secret) - len(row["prefix"]) >= 32  # what stays secret cannot be guessed
        assert len(row["digest"]) == 64

    def test_is_another_one_each_time(self) -> None:
        owner = make.make_user()
        assert len({create_key(owner_id=owner.pk, name="same").secret for _ in range(5)}) == 5

    def test_opens_nothing_once_revoked(self) -> None:
        made = create_key(owner_id=make.make_user().pk, name="laptop")
        revoke_key(key=made.key, now=make.NOW)
        assert find_key(secret=made.secret) is None
        assert ApiKey.objects.get().revoked_at == make.NOW

    def test_opens_nothing_while_its_owner_is_switched_off(self) -> None:
        owner = make.make_user()
        made = create_key(owner_id=owner.pk, name="laptop")
        owner.is_active = False
        owner.save()
        assert find_key(secret=made.secret) is None
        owner.is_active = True
        owner.save()
        assert find_key(secret=made.secret) is not None

    @pytest.mark.parametrize("change", [str.upper, lambda secret: secret[:-1], lambda secret: f"{secret}x"])
    def test_opens_nothing_when_changed(self, change: object) -> None:
        made = create_key(owner_id=make.make_user().pk, name="laptop")
        assert find_key(secret=change(made.secret)) is None  # type: ignore[operator]
        assert find_key(secret="") is None
        assert find_key(secret=made.key.digest) is None

    def test_can_be_named_without_its_secret(self) -> None:
        made = create_key(owner_id=make.make_user().pk, name="laptop")
        assert str(made.key) == f"laptop ({made.secret[:12]}…)"


class TestNoteUse:
    def test_writes_at_most_once_a_minute(self) -> None:
        key = create_key(owner_id=make.make_user().pk, name="test").key
        for seconds, noted in ((0, 0), (59, 0), (60, 60)):
            note_use(key=key, now=make.NOW + timedelta(seconds=seconds))
            key.refresh_from_db()
            assert key.latest_used_at == make.NOW + timedelta(seconds=noted)
