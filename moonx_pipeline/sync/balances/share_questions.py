"""Which contracts are asked, with the balances in bulk, what their shares are redeemable for, and what they said."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from moonx_pipeline.domain.chains import NATIVE_TOKEN
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.vault_shares import ShareAnswer
from moonx_pipeline.providers.balance_code import Question
from moonx_pipeline.providers.bulk_balances import PAIRS_A_CALL
from moonx_pipeline.providers.vault_questions import Answers, held_by, questions_of, share_answer
from moonx_pipeline.storage.tokens.vault_shares import AskedShare

ASKED_EVERY: Final = timedelta(minutes=10)
_ASKED_ANEW: Final = timedelta(days=30)
"""A contract that is no share may become one, as a proxy may become anything."""

DueShares = Mapping[TokenKey, str | None]
"""Contracts to ask, each with the token that its shares were redeemable for by its last answer."""


def due_shares(held: Collection[TokenKey], asked: Mapping[TokenKey, AskedShare], now: datetime) -> DueShares:
    """Those to be asked: of what is held, and of what that is redeemable for.

    Args:
        held: Contracts that wallets hold.
        asked: What is stored of those that were asked, and of their underlying tokens.
        now: The time.
    """
    underlying = {TokenKey(key.chain_id, one.share.underlying) for key, one in asked.items() if one.share}
    return {
        key: one.share.underlying if one is not None and one.share else None
        for key in {*held, *underlying}
        if (one := asked.get(key)) is None or now - one.asked_at > (ASKED_EVERY if one.share else _ASKED_ANEW)
    }


def questions_for(chain_id: int, due: DueShares, beside: int) -> dict[TokenKey, list[Question]]:
    """The questions of a bulk reading, as many as there is room for without another call; the next one asks the rest.

    Args:
        chain_id: Its chain.
        due: Contracts to ask.
        beside: How many balances it reads.
    """
    room = -beside % PAIRS_A_CALL
    chosen: dict[TokenKey, list[Question]] = {}
    for key in sorted(due):
        if key.chain_id != chain_id or key.address == NATIVE_TOKEN:
            continue
        questions = questions_of(key, due[key])
        if len(questions) > room:
            break
        room -= len(questions)
        chosen[key] = questions
    return chosen


def questions_of_held(
    said: Mapping[TokenKey, ShareAnswer | None], asked: Mapping[TokenKey, Collection[Question]]
) -> list[Question]:
    """How much vaults hold themselves of what they redeem, where that was not asked: it was not known what it is."""
    return [
        question
        for key, one in said.items()
        if one is not None
        and one.underlying != NATIVE_TOKEN
        and (question := held_by(key, one.underlying)) not in asked[key]
    ]


def share_answers(asked: Mapping[TokenKey, Collection[Question]], said: Answers) -> dict[TokenKey, ShareAnswer | None]:
    """What contracts said; one that was not read in full is left out, and one that is no share said ``None``."""
    return {key: share_answer(key, said) for key, questions in asked.items() if all(one in said for one in questions)}
