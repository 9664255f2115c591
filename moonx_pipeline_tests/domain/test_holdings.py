from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import CHAIN_BY_ID, CHAINS, POLYGON
from moonx_pipeline.domain.holdings import BALANCE_UNKNOWN, Holding, holdings_after, needs_stored
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, Coverage
from moonx_pipeline_tests.domain.examples import (
    NOON,
    OTHER_WALLET,
    WALLET,
    addresses,
    balances,
    chain_ids,
    token,
    wallets,
    without_floats,
)

Places = Mapping[tuple[str, int], Mapping[str, int]]

stored_places = st.dictionaries(
    st.tuples(wallets, chain_ids), st.dictionaries(addresses, balances.filter(bool), max_size=6), max_size=6
)


@st.composite
def readings(draw: st.DrawFn) -> list[ChainBalances]:
    """One reading for each of some wallets and chains, of every outcome and coverage."""
    places = draw(st.lists(st.tuples(wallets, chain_ids), unique=True, max_size=6))
    return [
        ChainBalances(
            wallet,
            chain_id,
            draw(st.sampled_from(ChainOutcome)),
            # What a reading that did not succeed holds must not matter.
            balances=draw(st.dictionaries(addresses, balances, max_size=6)),
            unknown=draw(st.frozensets(addresses, max_size=3)),
            coverage=draw(st.sampled_from(Coverage)),
            retry_at=draw(st.sampled_from([None, NOON + timedelta(minutes=1)])),
        )
        for wallet, chain_id in places
    ]


def reading(
    balances: dict[str, int] | None = None,
    *,
    outcome: ChainOutcome = ChainOutcome.OK,
    unknown: frozenset[str] = frozenset(),
    coverage: Coverage = Coverage.ALL_TOKENS,
    chain_id: int = 1,
) -> ChainBalances:
    return ChainBalances(WALLET, chain_id, outcome, balances or {}, unknown, coverage=coverage)


def of(held: list[Holding], wallet: str, chain_id: int) -> dict[str, Holding]:
    return {h.token: h for h in held if (h.wallet, h.chain_id) == (wallet, chain_id)}


@given(readings(), stored_places)
def test_a_chain_that_was_not_read_keeps_exactly_what_is_stored_and_is_stale_unless_nothing_moved(
    read: list[ChainBalances], stored: Places
) -> None:
    held = holdings_after(read, stored)
    for r in read:
        if r.outcome is not ChainOutcome.OK:
            before = stored.get((r.wallet, r.chain_id), {})
            assert of(held, r.wallet, r.chain_id) == {
                address: Holding(r.wallet, r.chain_id, address, balance, (), stale=r.outcome is not ChainOutcome.KEPT)
                for address, balance in before.items()
            }


@given(readings(), stored_places)
def test_a_chain_that_answered_is_what_it_says_and_never_stale(read: list[ChainBalances], stored: Places) -> None:
    held = holdings_after(read, stored)
    for r in read:
        if r.outcome is ChainOutcome.OK:
            now = of(held, r.wallet, r.chain_id)
            assert not any(h.stale for h in now.values())
            for address, balance in r.balances.items():
                assert (now[address].balance if address in now else 0) == balance
                assert address not in now or now[address].flags == ()
            for address in now.keys() - r.balances.keys():
                assert address in r.unknown or r.coverage is Coverage.KNOWN_TOKENS
                assert now[address].balance == stored[r.wallet, r.chain_id][address]
                assert now[address].flags == (BALANCE_UNKNOWN,)


@given(readings(), stored_places, st.data())
def test_the_order_of_readings_balances_and_stored_rows_does_not_matter(
    read: list[ChainBalances], stored: Places, data: st.DataObject
) -> None:
    def shuffled(rows: Mapping[str, int]) -> dict[str, int]:
        return dict(data.draw(st.permutations(list(rows.items()))))

    again = [
        ChainBalances(
            r.wallet, r.chain_id, r.outcome, shuffled(r.balances), r.unknown, coverage=r.coverage, retry_at=r.retry_at
        )
        for r in data.draw(st.permutations(read))
    ]
    stored_again = {place: shuffled(stored[place]) for place in reversed(list(stored))}
    assert sorted(holdings_after(again, stored_again)) == sorted(holdings_after(read, stored))


@given(readings(), stored_places)
def test_every_token_is_held_once_above_zero_and_without_floats(read: list[ChainBalances], stored: Places) -> None:
    held = holdings_after(read, stored)
    assert len({h[:3] for h in held}) == len(held)
    assert all(type(h.balance) is int and h.balance > 0 for h in held)
    assert without_floats(held)


@given(readings(), stored_places)
def test_only_what_is_said_to_be_needed_of_the_stored_rows_is_read(read: list[ChainBalances], stored: Places) -> None:
    needed = {(r.wallet, r.chain_id) for r in read if needs_stored(r)}
    only = {place: rows for place, rows in stored.items() if place in needed}
    assert holdings_after(read, only) == holdings_after(read, stored)


def test_stored_rows_are_needed_unless_the_answer_is_whole() -> None:
    assert not needs_stored(reading())
    assert needs_stored(reading(outcome=ChainOutcome.FAILED))
    assert needs_stored(reading(outcome=ChainOutcome.SKIPPED))
    assert needs_stored(reading(unknown=frozenset({token(1)})))
    assert needs_stored(reading(coverage=Coverage.KNOWN_TOKENS))


def test_a_token_that_is_gone_is_dropped() -> None:
    stored = {(WALLET, 1): {token(1): 5, token(2): 6, token(3): 7}}
    held = holdings_after([reading({token(1): 8, token(2): 0})], stored)
    assert held == [Holding(WALLET, 1, token(1), 8)]


def test_a_token_that_could_not_be_read_keeps_its_last_balance_flagged() -> None:
    stored = {(WALLET, 1): {token(1): 5, token(2): 6}, (OTHER_WALLET, 1): {token(3): 1}, (WALLET, 10): {token(3): 1}}
    held = holdings_after([reading({token(4): 9}, unknown=frozenset({token(1), token(3)}))], stored)
    assert sorted(held) == [
        Holding(WALLET, 1, token(1), 5, (BALANCE_UNKNOWN,)),
        Holding(WALLET, 1, token(4), 9),
    ]


def test_a_source_that_only_sees_known_tokens_does_not_drop_those_it_was_not_asked_for() -> None:
    stored = {(WALLET, 1): {token(1): 5, token(2): 6, token(3): 7}}
    held = holdings_after([reading({token(1): 8, token(2): 0}, coverage=Coverage.KNOWN_TOKENS)], stored)
    assert sorted(held) == [Holding(WALLET, 1, token(1), 8), Holding(WALLET, 1, token(3), 7, (BALANCE_UNKNOWN,))]


def test_a_token_both_read_and_unknown_is_held_once_as_read() -> None:
    """Two pages of one list may say both."""
    stored = {(WALLET, 1): {token(1): 5}}
    held = holdings_after([reading({token(1): 8}, unknown=frozenset({token(1)}))], stored)
    assert held == [Holding(WALLET, 1, token(1), 8)]


def test_the_contract_that_mirrors_the_native_balance_is_not_held_a_second_time() -> None:
    mirror = POLYGON.native_as_erc20
    assert mirror is not None
    for chain in CHAINS:
        held = holdings_after([reading({mirror: 7, token(1): 1}, chain_id=chain.id)], {})
        expected = {token(1)} if CHAIN_BY_ID[chain.id] is POLYGON else {token(1), mirror}
        assert {h.token for h in held} == expected
