"""The tokens of the style sheet, read from the style sheet itself. Pure."""

import re
from dataclasses import dataclass

_BLOCK = re.compile(r"([^{}]+)\{([^{}]*)\}")
_TOKEN = re.compile(r"--([a-z-]+):\s*([^;]+);")


@dataclass(frozen=True)
class Token:
    """One token: its name without the dashes, and its value in the light scheme."""

    name: str
    value: str

    @property
    def is_colour(self) -> bool:
        """Tell whether it is a colour."""
        return self.value.startswith("#")

    @property
    def is_text(self) -> bool:
        """Tell whether it is a size of letters."""
        return self.name.startswith("text")


def tokens_of(css: str, selector: str) -> list[Token]:
    """Return the tokens of the first block whose selectors have one, in the order in which they stand.

    Raises ValueError where no block has it.
    """
    text = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    for selectors, declarations in _BLOCK.findall(text):
        if selector in [one.strip() for one in selectors.split(",")]:
            return [Token(name, value.strip()) for name, value in _TOKEN.findall(declarations)]
    raise ValueError(f"no block of the style sheet has the selector {selector}")
