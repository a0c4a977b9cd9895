"""A list in a terminal of which only what is seen is drawn; its texts are only ever text."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.widget import Widget

Item = TypeVar("Item")


class Rows(Widget, Generic[Item], can_focus=True):
    """Items, one a row. One of them is chosen, by its name; or none, and the newest, which is last, stays in view.

    A name that is None can't be chosen: it is a heading. `line` draws an item.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end,escape", "follow", show=False),
        Binding("enter", "open", show=False),
    ]

    class Opened(Message):
        """Somebody wants to see more of an item."""

        def __init__(self, item: Any) -> None:
            super().__init__()
            self.item = item

    def __init__(self, *, empty: str, newest_last: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self.empty = empty
        self.items: Sequence[Item] = ()
        self.chosen: Hashable | None = None
        self._newest_last = newest_last
        self._row = 0  # where in the window the chosen one stands

    def name_of(self, item: Item) -> Hashable | None:
        """What an item is called, whatever becomes of its place."""
        raise NotImplementedError

    def line(self, item: Item) -> Content:
        """An item, on a row however wide."""
        raise NotImplementedError

    def show(self, items: Sequence[Item]) -> None:
        """These from now on. What was chosen stays so if it is still there."""
        self.items = items
        if self.chosen is not None and self._index() is None:
            self.chosen = None
        self.refresh(layout=not self._newest_last)

    def chosen_item(self) -> Item | None:
        """The one that is chosen."""
        index = self._index()
        return None if index is None else self.items[index]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002  # Textual's
        """As Textual says: of a list that is as high as it is long."""
        return max(1, len(self.items))

    def render(self) -> Content:
        """As Textual says."""
        if not self.items:
            return Content.styled(self.empty, "dim")
        width, top = self.size.width, self._top()
        rows = []
        for item in self.items[top : top + self.size.height]:
            row = self.line(item).truncate(width, ellipsis=True)
            if self.chosen is not None and self.name_of(item) == self.chosen:
                row = row.truncate(width, pad=True).stylize("reverse" if self.has_focus else "underline")
            rows.append(row)
        return Content("\n").join(rows)

    def action_move(self, by: int) -> None:
        """Choose another."""
        names = [index for index, item in enumerate(self.items) if self.name_of(item) is not None]
        if not names:
            return
        index = self._index()
        if index is None:
            position = len(names) - 1 if self._newest_last else 0
            self._row = self.size.height - 1 if self._newest_last else 0
        else:
            position = max(0, min(len(names) - 1, names.index(index) + by))
            self._row = max(0, min(self.size.height - 1, self._row + names[position] - index))
        self.chosen = self.name_of(self.items[names[position]])
        self.refresh()

    def action_page(self, by: int) -> None:
        """A screen further."""
        self.action_move(by * max(1, self.size.height - 1))

    def action_follow(self) -> None:
        """Choose none."""
        self.chosen = None
        self.refresh()

    def action_open(self) -> None:
        """Show more of the chosen one."""
        item = self.chosen_item()
        if item is not None:
            self.post_message(self.Opened(item))

    def _index(self) -> int | None:
        if self.chosen is None:
            return None
        return next((index for index, item in enumerate(self.items) if self.name_of(item) == self.chosen), None)

    def _top(self) -> int:
        height, index = self.size.height, self._index()
        last = max(0, len(self.items) - height)
        if index is None:
            return last if self._newest_last else 0
        return max(0, min(last, index - min(self._row, height - 1)))
