"""Charts of a report, drawn as SVG on the server: they need no script, print, and travel in a file. Pure.

Colours of text, axes and ground come from the style sheet; series have Okabe and Ito's palette and a symbol each.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from greenllm.charts import PALETTE

_LEFT, _RIGHT, _TOP = 64, 16, 14
_LEGEND_LINE = 22
_BAR_GAP = 0.2  # of a group's width
_ROOM = 1.05  # how far an axis goes beyond the largest value


@dataclass(frozen=True)
class Room:
    """What a drawing has room for, where a letter is about 13 high.

    `bottom` is the room under the axis; names of groups that stand `aslant` need more of it and less of the width.
    """

    name: str
    width: float
    height: float
    bottom: float
    legend_columns: int
    most_characters: int
    aslant: bool

    @property
    def ground(self) -> float:
        """Return how far down the axis lies."""
        return self.height - self.bottom


WIDE = Room("wide", 760, 360, 48, 2, 46, aslant=False)
NARROW = Room("narrow", 340, 340, 96, 1, 34, aslant=True)  # of a phone
ROOMS = (WIDE, NARROW)  # the style sheet shows the one that fits


@dataclass(frozen=True)
class Point:
    """One approach: where it stands, with the ends of its intervals where it has them; `kind` gives its symbol.

    `url` leads to the answers behind it; `figure` names the figure whose value a script may change.
    """

    name: str
    kind: str
    x: float
    y: float
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
    url: str = ""
    figure: str = ""


@dataclass(frozen=True)
class Bar:
    """One bar of a group: None is a bar that there is nothing to draw for; `url` and `figure` as points have them."""

    value: float | None
    ends: tuple[float, float] | None = None
    url: str = ""
    figure: str = ""


def scatter(
    *, name: str, description: str, points: Sequence[Point], x_title: str, y_title: str, order: Sequence[str] = (),
    room: Room = WIDE,
) -> str:  # fmt: skip
    """Draw points over a share in percent (0 to 100), up and left being better.

    `order` names the models in the order by which the page's other charts give colours.
    """
    largest = max((max(point.x, *(point.x_ends or (0.0,))) for point in points), default=0.0)
    room = replace(room, bottom=WIDE.bottom)  # there are no names of groups
    across = _Scale(0.0, largest * _ROOM or 1.0, _LEFT, room.width - _RIGHT)
    up = _Scale(-4.0, 104.0, room.ground, _TOP)
    parts = _axes(room, across.ticks(), [0, 25, 50, 75, 100], across=across, up=up, x_title=x_title, y_title=y_title)
    numbers = _numbers(points, order)
    for point in points:
        parts.append(_drawn(point, numbers[point.name], across, up))
    symbols = [(point.name, _symbol(point.kind, numbers[point.name], 0, 0)) for point in points]
    has_links = any(point.url for point in points)
    return _document(room, name, description, parts, symbols, scale=("x", across), has_links=has_links)


def grouped_bars(
    *, name: str, description: str, groups: Sequence[str], series: Sequence[tuple[str, Sequence[Bar]]], y_title: str,
    room: Room = WIDE,
) -> str:  # fmt: skip
    """Draw a group of bars for each name in `groups`, a bar of every series in each, with its interval."""
    ends = [
        max(bar.value or 0.0, bar.ends[1] if bar.ends else 0.0) for _, bars in series for bar in bars
    ]  # an interval that reaches below nothing is cut off there
    up = _Scale(0.0, max(ends, default=0.0) * _ROOM or 1.0, room.ground, _TOP)
    step = (room.width - _LEFT - _RIGHT) / max(1, len(groups))
    wide = step * (1 - _BAR_GAP) / max(1, len(series))
    across = _Scale(0.0, 1.0, _LEFT, room.width - _RIGHT)
    parts = _axes(room, [], up.ticks(), across=across, up=up, x_title="", y_title=y_title)
    for place, group in enumerate(groups):
        start = _LEFT + place * step + step * _BAR_GAP / 2
        parts.append(_group_name(room, _LEFT + (place + 0.5) * step, group))
        for number, (_, bars) in enumerate(series):
            named = f"{series[number][0]}, {group}"
            parts.append(_bar(bars[place], named, (start + number * wide, wide), number, up))
    square = '<rect x="-6" y="-6" width="12" height="12" fill="{}"/>'
    legend = [(title, square.format(_colour(number))) for number, (title, _) in enumerate(series)]
    has_links = any(bar.url for _, bars in series for bar in bars)
    return _document(room, name, description, parts, legend, scale=("y", up), has_links=has_links)


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return about five round values between the ends."""
        raw = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(one * power for one in (1, 2, 5, 10) if one * power >= raw)
        return [place * step for place in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def _axes(
    room: Room, xs: Sequence[float], ys: Sequence[float], *, across: _Scale, up: _Scale, x_title: str,
    y_title: str,
) -> list[str]:  # fmt: skip
    parts = []
    parts.append('<g class="ticks-x">')
    for x in xs:
        parts.append(_line((across(x), _TOP), (across(x), room.ground), "grid"))
        parts.append(_text(across(x), room.ground + 18, f"{x:.6g}", "middle"))
    parts.append('</g><g class="ticks-y">')
    for y in ys:
        parts.append(_line((_LEFT, up(y)), (room.width - _RIGHT, up(y)), "grid"))
        parts.append(_text(_LEFT - 8, up(y) + 4, f"{y:.6g}", "end"))
    parts.append("</g>")
    middle = (room.ground + _TOP) / 2
    turned = f'transform="translate(16 {middle:.1f}) rotate(-90)" text-anchor="middle"'
    parts.append(f"<text {turned}>{escape(y_title)}</text>")
    if x_title:
        parts.append(_text((room.width + _LEFT - _RIGHT) / 2, room.height - 8, x_title, "middle"))
    return parts


def _group_name(room: Room, x: float, name: str) -> str:
    """Write the name of a group under its bars; aslant it ends there, and a long one is cut."""
    if not room.aslant:
        return _text(x, room.ground + 18, name, "middle")
    most = int((room.bottom - 12) / 5)  # a letter is some 7 long, and goes down by seven tenths of that
    short = name if len(name) <= most else f"{name[: most - 1]}…"
    turned = f'transform="translate({x + 4:.1f} {room.ground + 14:.1f}) rotate(-45)" text-anchor="end"'
    return f"<text {turned}>{escape(short)}</text>"


def _drawn(point: Point, number: int, across: _Scale, up: _Scale) -> str:
    x, y = across(point.x), up(point.y)
    parts = [f"<title>{escape(point.name)}</title>"]
    colour = _colour_of(point.kind, number)
    if point.x_ends:
        parts.append(_line((across(point.x_ends[0]), y), (across(point.x_ends[1]), y), "whisker across", colour))
    if point.y_ends:
        parts.append(_line((x, up(point.y_ends[0])), (x, up(point.y_ends[1])), "whisker", colour))
    drawn = "".join([*parts, _symbol(point.kind, number, x, y)])
    placed = f' data-at="{x:.1f}"' if point.figure else ""
    return _linked(drawn, point.url, point.name, point.figure, placed)


def _linked(drawn: str, url: str, name: str, figure: str, placed: str = "") -> str:
    """Return a mark as a group, inside a link where it leads somewhere."""
    moved = f' data-figure="{escape(figure)}"{placed}' if figure else ""
    group = f"<g{moved}>{drawn}</g>"
    return f'<a href="{escape(url)}" aria-label="{escape(name)}: the answers">{group}</a>' if url else group


def _bar(bar: Bar, name: str, across: tuple[float, float], number: int, up: _Scale) -> str:
    """Draw a bar that begins at `across[0]` and is `across[1]` wide."""
    x, wide = across
    if bar.value is None:
        return _text(x + wide / 2, up(0.0) - 4, "\u2013", "middle")
    top, ground = up(bar.value), up(0.0)
    drawn = (
        f'<rect x="{x:.1f}" y="{top:.1f}" width="{max(1.0, wide - 2):.1f}" height="{ground - top:.1f}" '
        f'fill="{_colour(number)}"/>'
    )
    if bar.ends is not None:
        middle = x + wide / 2 - 1
        drawn += _line((middle, up(bar.ends[0])), (middle, up(bar.ends[1])), "whisker")
    return _linked(drawn, bar.url, name, bar.figure) if bar.url or bar.figure else drawn


def _document(
    room: Room, name: str, description: str, parts: Sequence[str], legend: Sequence[tuple[str, str]], *,
    scale: tuple[str, _Scale], has_links: bool,
) -> str:  # fmt: skip
    """Return the drawing; what has links inside is a group and no picture. The scale is told for who moves marks."""
    axis, along = scale
    role = "group" if has_links else "img"
    scaled = f'data-axis="{axis}" data-start="{along.start:g}" data-end="{along.end:g}" data-room="{_ROOM:g}"'
    lines = math.ceil(len(legend) / room.legend_columns)
    tall = room.height + _LEGEND_LINE * lines + 6
    named = []
    for place, (title, symbol) in enumerate(legend):
        x = _LEFT + 10 + (place % room.legend_columns) * (room.width - _LEFT) / room.legend_columns
        y = room.height + 14 + _LEGEND_LINE * (place // room.legend_columns)
        short = title if len(title) <= room.most_characters else f"{title[: room.most_characters - 1]}…"
        named.append(f'<g transform="translate({x:.1f} {y:.1f})">{symbol}</g>{_text(x + 14, y + 4, short, "start")}')
    described = f"{escape(name)}-{room.name}-described"
    return (
        f'<svg class="drawn {room.name}" viewBox="0 0 {room.width:g} {tall:g}" role="{role}" {scaled} '
        f'aria-labelledby="{described}" '
        f'xmlns="http://www.w3.org/2000/svg"><title id="{described}">{escape(description)}</title>'
        f"{''.join(parts)}{''.join(named)}</svg>"
    )


def _numbers(points: Sequence[Point], order: Sequence[str]) -> dict[str, int]:
    models = [*order, *(point.name for point in points if point.kind == "model")]
    others = [point.name for point in points if point.kind != "model"]
    return {name: number for names in (models, others) for number, name in enumerate(dict.fromkeys(names))}


def _symbol(kind: str, number: int, x: float, y: float) -> str:
    colour = _colour_of(kind, number)
    shapes = _SHAPES_OF.get(kind, _SHAPES)
    corners = shapes[number % len(shapes)]
    path = " ".join(f"{x + a:.1f},{y + b:.1f}" for a, b in corners)
    fill = "none" if kind == "oracle" else colour
    return f'<polygon points="{path}" fill="{fill}" stroke="{colour}" stroke-width="2"/>'


def _round(corners: int, radius: float, turn: float = 0.0) -> list[tuple[float, float]]:
    angles = [turn + 2 * math.pi * place / corners for place in range(corners)]
    return [(radius * math.sin(angle), -radius * math.cos(angle)) for angle in angles]


def _star(points: int, radius: float) -> list[tuple[float, float]]:
    outer, inner = _round(points, radius), _round(points, radius * 0.42, math.pi / points)
    return [corner for pair in zip(outer, inner, strict=True) for corner in pair]


_SHAPES: tuple[list[tuple[float, float]], ...] = (
    _round(16, 6.0), _round(4, 7.0, math.pi / 4), _round(3, 7.5), _round(4, 7.5), _round(3, 7.5, math.pi),
)  # fmt: skip
# one colour for the router; the forms in which it was given prompts are told apart by shape, as on the dashboard
_SHAPES_OF: dict[str, tuple[list[tuple[float, float]], ...]] = {
    "router": (_star(5, 10.0), [(-9.0, -7.0), (9.0, 7.0), (9.0, -7.0), (-9.0, 7.0)]),
    "measured-router": (_star(4, 11.0),), "oracle": (_star(5, 9.0),),
}  # fmt: skip


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _colour_of(kind: str, number: int) -> str:
    fixed: dict[str, str] = {"router": PALETTE[1], "measured-router": PALETTE[3], "oracle": PALETTE[2]}
    return fixed.get(kind, _colour(number))


def _line(one: tuple[float, float], other: tuple[float, float], kind: str, colour: str = "") -> str:
    stroke = f' stroke="{colour}"' if colour else ""
    ends = f'x1="{one[0]:.1f}" y1="{one[1]:.1f}" x2="{other[0]:.1f}" y2="{other[1]:.1f}"'
    return f'<line class="{kind}" {ends}{stroke}/>'


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
