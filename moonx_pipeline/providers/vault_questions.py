"""The questions that tell what a contract's shares are redeemable for, and how the answers are read.

ERC-4626: https://eips.ethereum.org/EIPS/eip-4626. Aave's aTokens have a treasury, which their debt tokens, with the
same name for their asset, have not: what is owed is nobody's wealth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from moonx_pipeline.domain.chains import NATIVE_TOKEN, ZERO_ADDRESS, is_native_mirror
from moonx_pipeline.domain.portfolio import TokenKey
from moonx_pipeline.domain.vault_shares import UNITS_ASKED, WELL_KNOWN, ShareAnswer, ShareKind
from moonx_pipeline.providers.balance_code import BALANCE_OF, Question

_ASSET: Final = "38d52e0f"  # asset()
_CONVERT: Final = "07a2d13a"  # convertToAssets(uint256)
_AAVE_ASSET: Final = "b16a19de"  # UNDERLYING_ASSET_ADDRESS()
_AAVE_TREASURY: Final = "ae167335"  # RESERVE_TREASURY_ADDRESS()
_WELL_KNOWN: Final = {
    ShareKind.LIDO: "bb2952fc",  # getStETHByWstETH(uint256)
    ShareKind.ROCKET_POOL: "8b32fa23",  # getEthValue(uint256)
}
_ADDRESS_BITS: Final = 160

Answers = Mapping[Question, int | None]


def questions_of(key: TokenKey, underlying: str | None) -> list[Question]:
    """What to ask about a contract.

    Args:
        key: The contract.
        underlying: What its shares were redeemable for by its last answer, if it is known as a share: how much of that
            the vault itself holds is asked for, too.
    """
    known = WELL_KNOWN.get(key)
    if known is not None:
        kind, underlying = known
        asked = [Question(key.address, _WELL_KNOWN[kind], UNITS_ASKED)]
    else:
        asked = [
            Question(key.address, _ASSET),
            Question(key.address, _CONVERT, UNITS_ASKED),
            Question(key.address, _AAVE_ASSET),
            Question(key.address, _AAVE_TREASURY),
        ]
    if underlying is not None and underlying != NATIVE_TOKEN:
        asked.append(held_by(key, underlying))
    return asked


def share_answer(key: TokenKey, answers: Answers) -> ShareAnswer | None:
    """What a contract said; ``None`` if it is no share, or says so little that it can't be valued.

    Args:
        key: The contract.
        answers: To the questions about it.
    """
    if key in WELL_KNOWN:
        kind, underlying = WELL_KNOWN[key]
        return _answer(
            key, kind, underlying, answers.get(Question(key.address, _WELL_KNOWN[kind], UNITS_ASKED)), answers
        )
    asset = _address(key, answers.get(Question(key.address, _ASSET)))
    worth = answers.get(Question(key.address, _CONVERT, UNITS_ASKED))
    if asset is not None and worth is not None:
        return _answer(key, ShareKind.ERC4626, asset, worth, answers)
    asset = _address(key, answers.get(Question(key.address, _AAVE_ASSET)))
    if asset is not None and _address(key, answers.get(Question(key.address, _AAVE_TREASURY))) is not None:
        return _answer(key, ShareKind.AAVE, asset, UNITS_ASKED, answers)
    return None


def _answer(key: TokenKey, kind: ShareKind, underlying: str, worth: int | None, answers: Answers) -> ShareAnswer | None:
    return None if worth is None else ShareAnswer(kind, underlying, worth, answers.get(held_by(key, underlying)))


def held_by(key: TokenKey, underlying: str) -> Question:
    """How much of a token a contract holds itself."""
    return Question(underlying, BALANCE_OF, int(key.address, 16))


def _address(key: TokenKey, word: int | None) -> str | None:
    """The token in an answer; ``None`` for what is no address, or the contract itself."""
    if not word or word >> _ADDRESS_BITS:
        return None
    address = f"0x{word:040x}"
    if address in (ZERO_ADDRESS, key.address):
        return None
    return NATIVE_TOKEN if is_native_mirror(key.chain_id, address) else address
