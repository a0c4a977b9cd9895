"""The schedule of places: turns, claims, stops. Pure, so the time is what the test says."""

from tests.support.journals import stop
from xmppbus.route import Target
from xmppbus.stores.places import Place, Schedule


def schedule(*names: str, waiting: int = 1) -> Schedule:
    """A schedule with places of `pubsub`, numbered from 1, where something waits."""
    made = Schedule()
    for number, name in enumerate(names, 1):
        made.create(number, Target("pubsub", name))
        made.add(number, waiting)
    return made


def names(places: list[Place]) -> str:
    """The places' addresses, joined."""
    return "".join(place.target.place for place in places)


def test_places_come_in_the_order_in_which_they_came_to_wait() -> None:
    """No more than asked."""
    made = schedule("a", "b", "c")
    assert names(made.take("pubsub", 2, 0.0)) == "ab"
    assert names(made.take("pubsub", 2, 0.0)) == "c"
    assert made.take("pubsub", 2, 0.0) == []


def test_a_released_place_goes_to_the_end_of_the_line() -> None:
    """If something still waits there."""
    made = schedule("a", "b", "c", waiting=2)
    (first,) = made.take("pubsub", 1, 0.0)
    made.add(first.id, -1)
    made.release(first)
    assert names(made.take("pubsub", 3, 0.0)) == "bca"
    made.add(first.id, -1)
    made.release(first)
    assert made.take("pubsub", 3, 0.0) == []
    made.add(first.id, 1)
    assert names(made.take("pubsub", 3, 0.0)) == "a"


def test_a_place_that_is_put_back_is_first_in_line() -> None:
    """Its claim came to nothing."""
    made = schedule("a", "b")
    (first,) = made.take("pubsub", 1, 0.0)
    made.put_back(first)
    assert names(made.take("pubsub", 2, 0.0)) == "ab"


def test_what_comes_to_a_claimed_place_does_not_put_it_in_line() -> None:
    """Until it is released."""
    made = schedule("a")
    (place,) = made.take("pubsub", 1, 0.0)
    made.add(place.id, 5)
    assert made.take("pubsub", 1, 0.0) == []
    made.release(place)
    assert names(made.take("pubsub", 1, 0.0)) == "a"


def test_a_stopped_place_waits_until_it_is_due() -> None:
    """`next_due` says when; the seconds that are left are shown."""
    made = schedule("a", "b", waiting=2)
    a, b = made.take("pubsub", 2, 100.0)
    made.stop(a, stop(10), 100.0)
    made.release(a)
    made.stop(b, stop(5), 100.0)
    made.release(b)
    assert made.next_due(100.0) == 105.0
    assert made.take("pubsub", 2, 104.9) == []
    shown = a.stop_at(104.0)
    assert shown is not None
    assert shown.seconds == 6.0
    assert names(made.take("pubsub", 2, 105.0)) == "b"
    assert made.next_due(105.0) == 110.0
    assert names(made.take("pubsub", 2, 200.0)) == "a"
    assert made.next_due(200.0) is None


def test_due_places_that_nobody_takes_are_not_due_again() -> None:
    """Their output may not be ready: nobody is to be woken for them without end."""
    made = schedule("a")
    (place,) = made.take("pubsub", 1, 0.0)
    made.stop(place, stop(1), 0.0)
    made.release(place)
    assert made.next_due(2.0) is None
    assert names(made.take("pubsub", 1, 2.0)) == "a"


def test_a_stopped_place_that_answers_is_no_longer_stopped() -> None:
    """Being tried again is not an answer."""
    made = schedule("a")
    (place,) = made.take("pubsub", 1, 0.0)
    made.stop(place, stop(1), 0.0)
    made.due_now(place)
    assert place.stop_at(0.5) is not None
    made.answered(place)
    assert place.stop_at(0.5) is None


def test_a_forgotten_place_is_gone() -> None:
    """And costs nothing."""
    made = schedule("a", "b")
    made.add(1, -1)
    made.forget(1)
    assert [place.id for place in made] == [2]
    assert names(made.take("pubsub", 5, 0.0)) == "b"
    assert made.waiting == 1


def test_a_place_that_is_woken_is_due_at_once() -> None:
    """Once, however often it is woken; and what stopped it stays known until it has answered."""
    made = schedule("a", "b", waiting=2)
    a, b = made.take("pubsub", 2, 0.0)
    for place in (a, b):
        made.stop(place, stop(100), 0.0)
        made.release(place)
    made.wake(a)
    made.wake(a)
    assert a.stop
    assert names(made.take("pubsub", 5, 1.0)) == "a"
    made.release(a)
    assert names(made.take("pubsub", 5, 200.0)) == "ab"
    assert made.take("pubsub", 5, 200.0) == []


def test_a_place_that_is_woken_while_it_is_claimed_does_not_stop() -> None:
    """Whoever works it may not have seen why; the next time it does."""
    made = schedule("a")
    for rest in (0.0, 100.0):
        (place,) = made.take("pubsub", 1, 0.0)
        if not rest:
            made.wake(place)
        made.stop(place, stop(100), 0.0)
        made.release(place)
        assert made.next_due(0.0) == (rest or None)


def test_waking_the_same_places_for_ever_takes_no_room() -> None:
    """Somebody's connection comes and goes all night."""
    made = schedule("a")
    for moment in range(1_000):
        (place,) = made.take("pubsub", 1, moment)
        made.stop(place, stop(100_000), moment)
        made.release(place)
        made.wake(place)
    assert len(made._outputs["pubsub"].stopped) < 100


def test_a_held_place_where_nothing_waits_any_more_is_not_held() -> None:
    """What comes next asks anew."""
    made = schedule("a")
    (place,) = made.take("pubsub", 1, 0.0)
    made.stop(place, stop(100, "held"), 0.0)
    made.release(place)
    made.add(place.id, -1)
    assert place.stop is None
    made.add(place.id, 1)
    assert names(made.take("pubsub", 1, 0.0)) == "a"
