"""Memory: what the user can have heard, and a bound on it."""

from duplex.agents.cascade.memory import Memory


def contents(memory: Memory) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in memory.messages()]


def test_words_of_one_side_in_a_row_are_one_message() -> None:
    memory = Memory("Be kind.", 1_000)
    memory.hear("Hello.")
    memory.voice(" Good")
    memory.voice("")
    memory.voice(" morning.")
    memory.hear("How are")
    memory.hear("you?")
    assert contents(memory) == [
        ("system", "Be kind."),
        ("user", "Hello."),
        ("assistant", "Good morning."),
        ("user", "How are you?"),
    ]


def test_a_copy_and_its_messages_are_independent() -> None:
    memory = Memory("Be kind.", 1_000)
    memory.hear("Hello.")
    twin = memory.copy()
    twin.hear("Again.")
    memory.messages()[1]["content"] = "spoiled"
    assert contents(memory)[1:] == [("user", "Hello.")]
    assert contents(twin)[1:] == [("user", "Hello. Again.")]


def test_a_long_conversation_forgets_its_beginning_and_stays_bounded() -> None:
    memory, longest = Memory("P", 400), 0
    for i in range(100):
        memory.hear(f"question {i:03d} " + "x" * 30)
        memory.voice(f"answer {i:03d}")
        longest = max(longest, sum(len(content) for _, content in contents(memory)[1:]))
    assert longest <= 400 + len("answer 000")
    assert contents(memory)[0] == ("system", "P") and contents(memory)[-1][1] == "answer 099"


def test_one_endless_message_is_cut_to_its_end() -> None:
    memory = Memory("P", 400)
    memory.hear("a" * 1_000 + "the end")
    assert len(contents(memory)[1][1]) == 400 and contents(memory)[1][1].endswith("the end")
