"""What lines refer to beside answers: the people who judged, and the guidelines that they followed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model

from benchmarks.models import Category
from labeling.exchanging.entries import Entry
from labeling.exchanging.fields import LineRefused
from labeling.models import Guideline
from labeling.standing_in import NameRefused, stand_in

_Key = tuple[str | None, int]  # category and version


@dataclass
class Judges:
    """The people here whom a file names, by username or e-mail address."""

    may_make: bool
    is_preview: bool
    made_names: list[str] = field(default_factory=list)
    _ids: dict[str, int | None] = field(default_factory=dict)
    _problems: dict[str, str] = field(default_factory=dict)

    def look_up(self, names: Iterable[str]) -> None:
        """Find the people of a batch, in two queries at most; make those who are missing where that is wanted."""
        unknown = {name for name in names if name and name not in self._ids}
        if not unknown:
            return
        people: Any = get_user_model()._default_manager  # Any: the person of the settings' user model
        found = dict(people.filter(username__in=unknown).order_by("pk").values_list("username", "pk"))
        addresses = {name for name in unknown - found.keys() if "@" in name}
        if addresses:
            by_address = people.filter(email__in=addresses).order_by("pk").values_list("email", "pk")
            emails = [email for email, _ in by_address]
            found |= {email: pk for email, pk in by_address if emails.count(email) == 1}
        for name in sorted(unknown):
            self._ids[name] = found.get(name) or (self._make(name) if self.may_make else None)

    def _make(self, name: str) -> int | None:
        try:
            made = stand_in(username=name, is_preview=self.is_preview)
        except NameRefused as error:
            self._problems[name] = str(error)
            return None
        self.made_names.append(name)
        return -len(self.made_names) if self.is_preview else int(made.pk)

    def id_of(self, entry: Entry) -> int | None:
        """Return who judged; nobody where the line names nobody.

        Raises:
            LineRefused: there is nobody of that name, or the label must name somebody.
        """
        name = entry.annotator
        if not name:
            if entry.values["source"] == "person":
                raise LineRefused("annotator", "It is empty, and a person's label names them.", "Give the username.")
            return None
        found = self._ids[name]
        if found is None:
            reason = self._problems.get(name) or f"There is nobody named {name!r} here."
            raise LineRefused(
                "annotator",
                reason,
                "Correct the name, add the person, or let people who cannot sign in be made for unknown names.",
            )
        return found


@dataclass
class Guidelines:
    """The guidelines that labels were given by; a text that is missing here comes with the first line that needs it."""

    is_preview: bool
    notes: list[str] = field(default_factory=list)
    _known: dict[_Key, Guideline] | None = None
    _other: set[_Key] = field(default_factory=set)

    def learn(self, entries: Iterable[Entry]) -> None:
        """Take the texts that come with lines."""
        if self._known is None:
            rows = Guideline.objects.select_related("category").order_by("pk")
            self._known = {(one.category.name if one.category else None, one.version): one for one in rows}
        for entry in entries:
            if entry.guideline is not None and entry.guideline_text:
                known = self._known.get(entry.guideline)
                if known is None:
                    self._make(self._known, entry.guideline, entry.guideline_text)
                elif known.text != entry.guideline_text:
                    self._other.add(entry.guideline)

    def _make(self, known: dict[_Key, Guideline], key: _Key, text: str) -> None:
        name, version = key
        category = Category.objects.filter(name=name).first() if name is not None else None
        if name is not None and category is None:
            return
        made = Guideline(category=category, version=version, text=text)
        if not self.is_preview:
            made, _ = Guideline.objects.get_or_create(category=category, version=version, defaults={"text": text})
        known[key] = made
        self.notes.append(f"Guideline {version} of {name or 'every category'} comes with the file.")

    def of(self, entry: Entry) -> Guideline | None:
        """Return the guideline of a line.

        Raises:
            LineRefused: there is none, or its number stands for another text here.
        """
        if entry.guideline is None:
            return None
        name, version = entry.guideline
        found = (self._known or {}).get(entry.guideline)
        if found is not None and entry.guideline not in self._other:
            return found
        said = f"guideline {version} of {name or 'every category'}"
        raise LineRefused(
            "guideline_version",
            f"Here {said} has another text." if found is not None else f"There is no {said} here.",
            "Add it in the admin, or empty 'guideline_version' and 'guideline_text': the label then names none.",
        )
