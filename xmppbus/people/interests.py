"""Who wants an event: subscriptions, indexed by pattern, so that thousands of them cost an event next to nothing.

Pure, in memory. After the first event of a type and severity the answer is one look-up in a dictionary; it lives until
somebody subscribes to, or leaves, a pattern with a severity that nobody else has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from xmppbus import limits
from xmppbus.event import Event
from xmppbus.people.model import Subscription
from xmppbus.route import severity_matches, topic_matches

_Bucket = dict[str, Subscription]
"""Everybody who wants one pattern with one rule for the severity, by JID."""


class Interests:
    """An index of subscriptions."""

    def __init__(self, subscriptions: Iterable[Subscription] = ()) -> None:
        self._of: dict[str, dict[str, Subscription]] = {}  # owner -> pattern -> subscription
        self._buckets: dict[tuple[str, str], _Bucket] = {}  # (pattern, severity)
        self._tree = _Tree()
        self._matched: OrderedDict[tuple[str, str], tuple[_Bucket, ...]] = OrderedDict()
        self._count = 0
        for each in subscriptions:
            self.add(each)

    def __len__(self) -> int:
        return self._count

    def of(self, owner: str) -> list[Subscription]:
        """All of one owner, oldest first."""
        return sorted(self._of.get(owner, {}).values(), key=lambda each: each.id)

    def owners(self) -> list[str]:
        """Everybody who has a subscription."""
        return list(self._of)

    def add(self, subscription: Subscription) -> None:
        """One more; it takes the place of one of the same owner and pattern."""
        self.remove(subscription.owner, subscription.pattern)
        self._of.setdefault(subscription.owner, {})[subscription.pattern] = subscription
        rule = (subscription.pattern, subscription.severity)
        bucket = self._buckets.get(rule)
        if bucket is None:
            bucket = self._buckets[rule] = {}
            self._tree.add(*rule)
            self._matched.clear()
        bucket[subscription.owner] = subscription
        self._count += 1

    def remove(self, owner: str, pattern: str) -> Subscription | None:
        """Forget one; None when there is none."""
        subscription = self._of.get(owner, {}).pop(pattern, None)
        if subscription is None:
            return None
        if not self._of[owner]:
            del self._of[owner]
        rule = (subscription.pattern, subscription.severity)
        del self._buckets[rule][owner]
        if not self._buckets[rule]:
            del self._buckets[rule]
            self._tree.remove(*rule)
            self._matched.clear()
        self._count -= 1
        return subscription

    def matching(self, event: Event) -> list[Subscription]:
        """The most urgent of each owner's subscriptions that want an event."""
        return self.matching_any((event.type,), (event.severity,))

    def matching_any(self, types: Sequence[str], severities: Sequence[str]) -> list[Subscription]:
        """As `matching`, for what has any of those types and any of those severities."""
        buckets = {
            id(each): each for type_ in types for severity in severities for each in self._lookup(type_, severity)
        }
        if not buckets:
            return []
        first, *rest = buckets.values()
        if not rest:
            return list(first.values())
        found = dict(first)
        for bucket in rest:
            for owner, subscription in bucket.items():
                other = found.get(owner)
                if other is None or urgency(subscription) < urgency(other):
                    found[owner] = subscription
        return list(found.values())

    def most_urgent(self, owner: str, event: Event) -> Subscription | None:
        """The most urgent of one owner's subscriptions that want an event; None when none does."""
        return self.most_urgent_any(owner, (event.type,), (event.severity,))

    def most_urgent_any(self, owner: str, types: Sequence[str], severities: Sequence[str]) -> Subscription | None:
        """As `matching_any`, for one owner."""
        wanted = [
            each
            for each in self._of.get(owner, {}).values()
            if any(topic_matches(each.pattern, type_) for type_ in types)
            and (not each.severity or any(severity_matches(each.severity, severity) for severity in severities))
        ]
        return min(wanted, key=urgency, default=None)

    def _lookup(self, type_: str, severity: str) -> tuple[_Bucket, ...]:
        found = self._matched.get((type_, severity))
        if found is None:
            rules = self._tree.matching(type_)
            found = tuple(self._buckets[rule] for rule in rules if not rule[1] or severity_matches(rule[1], severity))
            self._matched[type_, severity] = found
            if len(self._matched) > limits.MATCHED_TYPES:
                self._matched.popitem(last=False)
        return found


def urgency(subscription: Subscription) -> tuple[bool, bool, int, int]:
    """The least is the most urgent: every event before a digest, at any hour before quiet hours."""
    is_digest = bool(subscription.digest_seconds or subscription.digest_events)
    return is_digest, subscription.quiet is not None, subscription.digest_seconds, subscription.id


class _Tree:
    """Rules by the words of their patterns: a type is compared with the patterns that begin like it, not with all."""

    def __init__(self) -> None:
        self._root = _Branch()

    def add(self, pattern: str, severity: str) -> None:
        branch = self._root
        for word in pattern.split("."):
            branch = branch.words.setdefault(word, _Branch(is_hash=word == "#"))
        branch.rules.add((pattern, severity))

    def remove(self, pattern: str, severity: str) -> None:
        path = [(self._root, "")]
        for word in pattern.split("."):
            path.append((path[-1][0].words[word], word))
        path[-1][0].rules.discard((pattern, severity))
        for (parent, _), (branch, word) in zip(path[-2::-1], path[:0:-1], strict=True):
            if branch.rules or branch.words:
                break
            del parent.words[word]

    def matching(self, type_: str) -> list[tuple[str, str]]:
        """In the order of the words, a set of branches at a time: no backtracking, however many `#` there are."""
        reached = _with_hashes({id(self._root): self._root})
        for word in type_.split("."):
            following: dict[int, _Branch] = {}
            for branch in reached.values():
                if branch.is_hash:
                    following[id(branch)] = branch  # `#` takes one word more
                for name in (word, "*"):
                    if (below := branch.words.get(name)) is not None:
                        following[id(below)] = below
            reached = _with_hashes(following)
        return sorted(rule for branch in reached.values() for rule in branch.rules)


class _Branch:
    __slots__ = ("is_hash", "rules", "words")

    def __init__(self, *, is_hash: bool = False) -> None:
        self.words: dict[str, _Branch] = {}
        self.rules: set[tuple[str, str]] = set()
        self.is_hash = is_hash


def _with_hashes(branches: dict[int, _Branch]) -> dict[int, _Branch]:
    """And every branch that is reached by `#` taking no word."""
    found = dict(branches)
    todo = list(branches.values())
    while todo:
        below = todo.pop().words.get("#")
        if below is not None and id(below) not in found:
            found[id(below)] = below
            todo.append(below)
    return found
