"""What is recorded of the values of calls."""

import shop

from testd import traced
from testd.tracing import Options, execute


class Moody:
    """An object that cannot be looked at."""

    @property
    def __dict__(self):
        raise KeyError("not today")


class Listening(int):
    """A number whose operators are traced, and are asked for in whatever is recorded."""

    @traced
    def ask(self):
        return int(super().__int__())

    __index__ = __int__ = __hash__ = ask

    def __lt__(self, other):
        return self.ask() < other


class Unspeakable(Exception):
    def __str__(self):
        raise KeyError("no words")


def fact_the_input_is_from_before_the_call():
    def changes(items):
        items.append(2)
        return items

    executed = execute(changes, [[1]]).executed
    assert executed["input"] == [[1], {}]
    assert executed["output"] == [1, 2]


def fact_a_value_that_cannot_be_recorded_costs_that_value():
    """Acceptance fact 23: inputs too."""

    def serializer(*args):
        raise KeyError("not today")

    @traced(input_serializer=serializer, output_serializer=serializer)
    def function(x):
        return x

    execution = execute(function, [1])
    assert execution.result == 1
    executed = execution.executed
    assert executed["input"] is None
    assert executed["output"] is None
    assert executed["execution_context"]["copy_input_error"] == "the serializer: KeyError: 'not today'"
    assert executed["execution_context"]["copy_output_error"] == "the serializer: KeyError: 'not today'"
    assert executed["executed_successfully"] is True


def fact_an_exception_that_cannot_be_read_is_recorded():
    def fails():
        raise Unspeakable

    execution = execute(fails)
    assert type(execution.exception) is Unspeakable
    assert execution.executed["error_type"].endswith(":Unspeakable")
    assert execution.executed["thrown_error"] == "<its text could not be made: KeyError>"


def fact_copies_are_made_on_request():
    """Acceptance fact 24: no copy is null, and no crash."""

    @traced(copy_input=False, copy_output=False, description="adds")
    def quiet(x):
        return shop.child(x)

    executed = execute(quiet, [1]).executed
    assert executed["input"] is executed["output"] is None
    assert executed["execution_context"]["copy_input"] is False
    assert executed["description"] == "adds"
    assert len(executed["children"]) == 1


def fact_shallow_copies_name_what_is_inside():
    @traced(deep_copy_input=False, deep_copy_output=False)
    def shallow(x):
        return x

    executed = execute(shallow, [[1, [2, 3]]]).executed
    assert executed["input"] == [[1, {"$type": "list", "cut": 2}], {}]
    assert executed["output"] == [1, {"$type": "list", "cut": 2}]
    assert executed["execution_context"]["deep_copy_input"] is False


def fact_serializers_say_what_is_recorded():
    @traced(input_serializer=lambda x, *, y: {"x": x, "y": y}, output_serializer=lambda result: shop.child(result))
    def function(x, *, y):
        return x + y

    execution = execute(function, [1], {"y": 2})
    assert execution.result == 3
    assert execution.executed["input"] == {"x": 1, "y": 2}
    assert execution.executed["output"] == 6
    assert execution.executed["children"] == [], "what a serializer calls is no part of the program"


def fact_parameters_with_secret_names_are_not_recorded():
    def login(user, password, *, token=None):
        return user

    executed = execute(login, ["u", "p"], {"token": "t"}).executed
    redacted = {"$type": "redacted"}
    assert executed["input"] == ["u", redacted, {"token": redacted}]
    assert execute(login, ["u", "p"], options=Options(redact=None)).executed["input"] == ["u", "p", {}]


def fact_secret_arguments_of_constructors_are_not_recorded():
    @traced
    class Account:
        def __init__(self, user, password):
            self.user = user

    assert execute(Account, ["u", "p"]).executed["input"] == ["u", {"$type": "redacted"}, {}]


def fact_cuts_are_told():
    executed = execute(shop.parent, [list(range(10))], options=Options(length=3)).executed
    assert executed["input"][0] == {"$type": "list", "items": [0, 1, 2], "cut": 7}
    assert executed["execution_context"]["input_cut"] is True
    assert executed["execution_context"]["output_cut"] is True
    assert "input_cut" not in executed["children"][0]["execution_context"]


def fact_items_of_a_generator_are_cut():
    executed = execute(shop.use_gen, options=Options(items=2)).executed["children"][0]
    assert executed["output"] == {"$type": "generator", "items": [0, 2], "cut": 1, "returned": "end"}
    assert executed["execution_context"]["output_cut"] is True


def fact_an_object_that_will_not_be_looked_at_does_no_harm():
    def takes(moody, other):
        return moody

    execution = execute(takes, [Moody(), 5])
    assert execution.executed["input"][1] == 5
    assert isinstance(execution.result, Moody)


def fact_recording_records_nothing_of_its_own_looking():
    executed = execute(lambda x: {x: 1}, [Listening(5)]).executed
    assert [inner["name"] for inner in executed["children"]] == ["Listening.ask"], "the hash that the program asks for"
    assert executed["input"][0]["value"] == 5
