from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from moonx_pipeline.domain.chains import KNOWN_CHAINS, NATIVE_TOKEN, POLYGON, ZERO_ADDRESS, is_native_mirror
from moonx_pipeline.domain.flags import BALANCE_UNKNOWN
from moonx_pipeline.domain.holdings import Holding, holdings_after, needs_stored, unread_after
from moonx_pipeline.domain.portfolio import ChainBalances, ChainOutcome, Coverage
from moonx_pipeline_tests.support.examples import (
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
            without_balance=draw(st.frozensets(addresses, max_size=3)),
            coverage=draw(st.sampled_from(Coverage)),
            retry_at=draw(st.sampled_from([None, NOON + timedelta(minutes=1)])),
            resumed_since=draw(st.sampled_from([None, NOON])),
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
def test_an_unread_chain_keeps_what_is_stored_and_is_stale_unless_nothing_moved(
    read: list[ChainBalances], stored: Places
) -> None:
    held = holdings_after(read, stored)
    assume(not all(r.is_read for r in read))
    for r in read:
        if not r.is_read:
            before = stored.get((r.wallet, r.chain_id), {})
            assert of(held, r.wallet, r.chain_id) == {
                address: Holding(r.wallet, r.chain_id, address, balance, (), stale=r.outcome is not ChainOutcome.KEPT)
                for address, balance in before.items()
                if not is_native_mirror(r.chain_id, address)
            }


@given(readings(), stored_places)
def test_a_chain_that_answered_is_what_it_says_and_never_stale(read: list[ChainBalances], stored: Places) -> None:
    held = holdings_after(read, stored)
    assume(any(r.outcome is ChainOutcome.OK for r in read))
    for r in read:
        if r.outcome is ChainOutcome.OK:
            now = of(held, r.wallet, r.chain_id)
            assert not any(h.stale for h in now.values())
            for address, balance in r.balances.items():
                held_now = 0 if is_native_mirror(r.chain_id, address) else balance
                assert (now[address].balance if address in now else 0) == held_now
                assert address not in now or now[address].flags == ()
            for address in now.keys() - r.balances.keys():
                is_unread = address in r.unknown | r.without_balance or r.coverage is Coverage.KNOWN_TOKENS
                assert is_unread or r.is_resumed
                assert now[address].balance == stored[r.wallet, r.chain_id][address]
                assert now[address].flags == ((BALANCE_UNKNOWN,) if is_unread else ())


@given(readings(), stored_places)
def test_a_list_read_in_part_takes_nothing_away_but_what_it_says_is_zero(
    read: list[ChainBalances], stored: Places
) -> None:
    held = holdings_after(read, stored)
    in_part = [r for r in read if r.outcome is ChainOutcome.PARTIAL or (r.outcome is ChainOutcome.OK and r.is_resumed)]
    assume(in_part)
    for r in in_part:
        now = of(held, r.wallet, r.chain_id)
        for address in stored.get((r.wallet, r.chain_id), {}):
            assert address in now or r.balances.get(address) == 0 or is_native_mirror(r.chain_id, address)
        for address, holding in now.items():
            rest = address not in r.balances and holding.flags == ()
            assert holding.stale == (rest and r.outcome is ChainOutcome.PARTIAL)


@given(readings(), stored_places)
def test_what_could_not_be_read_is_either_held_as_before_or_counted_as_unread(
    read: list[ChainBalances], stored: Places
) -> None:
    held, counts = holdings_after(read, stored), unread_after(read, stored, {(r.wallet, r.chain_id): 7 for r in read})
    assert counts.keys() == {(r.wallet, r.chain_id) for r in read}
    for r in read:
        pair = (r.wallet, r.chain_id)
        flagged = {address for address, h in of(held, *pair).items() if h.flags} & r.unknown
        mirrors = {address for address in stored.get(pair, {}) if is_native_mirror(r.chain_id, address)}
        if r.is_read:
            assert counts[pair] == len(r.unknown - r.balances.keys() - flagged - mirrors)
        else:
            assert counts[pair] == 7


@given(readings(), stored_places, st.data())
def test_the_order_of_readings_balances_and_stored_rows_does_not_matter(
    read: list[ChainBalances], stored: Places, data: st.DataObject
) -> None:
    def shuffled(rows: Mapping[str, int]) -> dict[str, int]:
        return dict(data.draw(st.permutations(list(rows.items()))))

    again = [
        ChainBalances(
            r.wallet,
            r.chain_id,
            r.outcome,
            shuffled(r.balances),
            r.unknown,
            coverage=r.coverage,
            without_balance=r.without_balance,
            resumed_since=r.resumed_since,
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
    assert needs_stored(reading(outcome=ChainOutcome.PARTIAL))
    assert needs_stored(replace(reading(), resumed_since=NOON))
    assert needs_stored(replace(reading(), without_balance=frozenset({token(1)})))


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


def test_a_source_of_known_tokens_drops_none_that_it_was_not_asked_for() -> None:
    stored = {(WALLET, 1): {token(1): 5, token(2): 6, token(3): 7}}
    held = holdings_after([reading({token(1): 8, token(2): 0}, coverage=Coverage.KNOWN_TOKENS)], stored)
    assert sorted(held) == [Holding(WALLET, 1, token(1), 8), Holding(WALLET, 1, token(3), 7, (BALANCE_UNKNOWN,))]


def test_a_token_both_read_and_unknown_is_held_once_as_read() -> None:
    """Two pages of one list may say both."""
    stored = {(WALLET, 1): {token(1): 5}}
    held = holdings_after([reading({token(1): 8}, unknown=frozenset({token(1)}))], stored)
    assert held == [Holding(WALLET, 1, token(1), 8)]


def test_a_contract_that_gives_no_balance_is_not_unread_and_keeps_what_was_known() -> None:
    read = replace(reading({token(4): 9}), without_balance=frozenset({token(1), token(2)}))
    stored = {(WALLET, 1): {token(1): 5}}
    assert sorted(holdings_after([read], stored)) == [
        Holding(WALLET, 1, token(1), 5, (BALANCE_UNKNOWN,)),
        Holding(WALLET, 1, token(4), 9),
    ]
    assert unread_after([read], stored, {}) == {(WALLET, 1): 0}


def test_second_faces_of_native_coins_are_never_held_by_any_way() -> None:
    legacy = "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0000"
    (mirror,) = POLYGON.native_mirrors
    assert mirror is not None
    faces = {mirror: 7, legacy: 7, ZERO_ADDRESS: 7}
    for chain in KNOWN_CHAINS:
        for outcome in (ChainOutcome.OK, ChainOutcome.FAILED, ChainOutcome.KEPT, ChainOutcome.PARTIAL):
            read = reading(
                {**faces, NATIVE_TOKEN: 7} if outcome is ChainOutcome.OK else {}, outcome=outcome, chain_id=chain.id
            )
            held = holdings_after([read], {(WALLET, chain.id): {**faces, NATIVE_TOKEN: 7}})
            # The precompile that mirrors POL is a contract like any other elsewhere.
            assert {h.token for h in held} == ({NATIVE_TOKEN} if chain is POLYGON else {NATIVE_TOKEN, mirror})
