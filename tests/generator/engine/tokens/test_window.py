"""Window: the base moves only when the window is full, and to a place where a word or a character begins."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.networks.fake import fake_vocabulary
from generator.engine.tokens.vocabulary import CHARACTER, WORD, Tokens
from generator.engine.tokens.window import Window, common_prefix, find_base, stagger

FAKE = fake_vocabulary()
TOKENS = st.lists(st.sampled_from([65, 66, 32, 10, 256, 260, 300, 0xF0, 0x9F, 0x8C, 0x8A]), max_size=60)


def a_window(size: int, token_ids: list[int]) -> Window:
    return Window(size, [FAKE.start_id], Tokens(token_ids, [1] * len(token_ids)), 0, FAKE.starts)


@given(st.lists(st.sampled_from([65, 66, 256, 260, 300, 0xF0, 0x9F, 0x8C, 0x8A]), min_size=40, max_size=60), st.data())
@settings(max_examples=60)
def test_the_next_window_is_the_one_that_a_roll_creates(written: list[int], data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([16, 24, 32]))
    window = Window(size, [FAKE.start_id], Tokens([], []), 0, FAKE.starts)
    following: Window | None = None
    for token_id in written:
        window.append(token_id, 1 if token_id < 0xF0 or token_id > 255 else data.draw(st.integers(0, 2)))
        if following is not None:
            following.append(token_id, window.lengths[-1])
        following = following or window.next_window()
        if window.is_overfull:
            window.roll()
            assert following is not None
            assert following.token_ids == window.token_ids
            assert (following.lengths, following.base) == (window.lengths, window.base)
            following = None


@given(TOKENS.filter(bool), st.sampled_from([16, 32]), st.integers(0, 8))
def test_a_roll_drops_text_from_the_front_only_and_the_base_counts_it(
    token_ids: list[int], size: int, early: int
) -> None:
    window = a_window(size, token_ids)
    window.limit = size - early
    window.roll(early)
    assert window.token_ids == [FAKE.start_id, *token_ids[window.base :]]
    assert window.lengths == [1] * window.num_text
    assert window.limit == size
    assert window.ids().tolist() == window.token_ids
    assert window.num_text >= min(len(token_ids), size // 2 + early)


@given(TOKENS, st.data())
def test_a_base_is_at_a_word_within_reach_or_else_at_a_character(token_ids: list[int], data: st.DataObject) -> None:
    lengths = [data.draw(st.integers(0, 2)) for _ in token_ids]
    index = data.draw(st.integers(0, max(0, len(token_ids) - 1)))
    found = find_base(Tokens(token_ids, lengths), index, FAKE.starts, 2)

    def is_base(at: int, start: int) -> bool:
        return at == 0 or (lengths[at - 1] > 0 and FAKE.starts[token_ids[at]] >= start)

    words = [at for at in range(max(0, index - 2), index + 1) if is_base(at, WORD)]
    characters = [at for at in range(max(0, index - 3), index + 1) if is_base(at, CHARACTER)]
    assert found == max(words or characters or [index])


@given(st.text(max_size=20), st.sampled_from([16, 64, 1024]))
def test_the_first_roll_is_early_by_less_than_three_eighths_of_the_window(name: str, size: int) -> None:
    assert 0 <= stagger(name, size) < size * 3 // 8


def test_the_first_rolls_of_different_sequences_differ() -> None:
    assert len({stagger(f"draft {number}", 1024) for number in range(16)}) > 12


@given(st.lists(st.integers(0, 2), max_size=8), st.lists(st.integers(0, 2), max_size=8))
def test_the_common_prefix_ends_at_the_first_difference(left: list[int], right: list[int]) -> None:
    count = common_prefix(left, right)
    assert left[:count] == right[:count]
    assert count == min(len(left), len(right)) or left[count] != right[count]
