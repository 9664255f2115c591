"""Settings of the providers of balances and prices."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from pydantic import SecretStr, field_validator

from moonx_pipeline.settings.chains import OfEachChain, chain_setting
from moonx_pipeline.settings.fields import Group, Int, Names, SecretUrl, Url, setting


def _steps_of(steps: tuple[str, ...]) -> list[tuple[Decimal | None, Decimal]]:
    parsed = []
    for step in steps:
        bound, has_bound, usd = step.rpartition(":")
        numbers = (Decimal(bound) if has_bound else None, Decimal(usd))
        if not all(number is None or (number.is_finite() and number >= 0) for number in numbers):
            raise ValueError(step)
        parsed.append(numbers)
    return parsed


class AlchemySettings(Group):
    """Alchemy: balances, metadata, prices."""

    key: SecretStr | None = setting(None, "ALCHEMY_API_KEY", about="Key for all chains that have none of their own.")
    chain_keys: OfEachChain[SecretStr] = chain_setting("ALCHEMY_API_KEY_{CHAIN}", about="Key for {chain}.")
    data_base_url: Url = setting(
        "https://api.g.alchemy.com/data/v1", "ALCHEMY_DATA_BASE_URL", about="Token data API; the key follows it."
    )
    prices_base_url: Url = setting(
        "https://api.g.alchemy.com/prices/v1", "ALCHEMY_PRICES_BASE_URL", about="Price API; the key follows it."
    )
    rpc_url_template: Url = setting(
        "https://{network}.g.alchemy.com/v2/{api_key}",
        "ALCHEMY_RPC_URL_TEMPLATE",
        about="JSON-RPC, with {network} and {api_key}.",
    )
    timeout_ms: Int = setting(
        10_000, "ALCHEMY_TIMEOUT", unit="ms", about="Longest time of one call, its body included.", ge=100
    )
    retries: Int = setting(
        3, "ALCHEMY_RETRIES", "ALCHEMY_RETRY_ATTEMPTS", about="Tries of one call, the first included.", ge=1, le=10
    )
    retry_delay_ms: Int = setting(
        1000, "ALCHEMY_RETRY_DELAY", unit="ms", about="Wait before the second try; it doubles, with jitter.", ge=0
    )
    rate_limit_rpm: Int = setting(
        300, "ALCHEMY_RATE_LIMIT_RPM", unit="requests/min", about="Requests of all workers together.", ge=1
    )
    max_compute_units: Int = setting(
        500, "ALCHEMY_MAX_COMPUTE_UNITS_PER_SECOND", unit="CU/s", about="Compute units of the plan.", ge=1
    )
    compute_unit_prices: Names = setting(
        ("30:0", "300:0.45", "0.40"),
        "ALCHEMY_COMPUTE_UNIT_PRICES",
        unit="USD",
        about="Price of a million compute units, for 'moonx plan': each step with the millions a month up to which it "
        "applies, the last one without. The default is Alchemy's public price list; put in your contract's.",
    )
    webhook_id: str | None = setting(
        None, "ALCHEMY_WEBHOOK_ID", about="The only webhook that may use the signing key without a chain."
    )
    webhook_signing_key: SecretStr | None = setting(
        None,
        "ALCHEMY_WEBHOOK_SIGNING_KEY",
        about="Signing key of the Address Activity webhook, where only one network has one.",
    )
    webhook_signing_keys: OfEachChain[SecretStr] = chain_setting(
        "ALCHEMY_WEBHOOK_SIGNING_KEY_{CHAIN}", about="Signing key of {chain}'s webhook."
    )
    webhook_quiet_limit_ms: Int = setting(
        600_000,
        "ALCHEMY_WEBHOOK_QUIET_LIMIT",
        unit="ms",
        about="A webhook that delivered nothing for this long is not relied on. Alchemy repeats what was not taken for "
        "11 minutes, so a longer silence may have lost deliveries.",
        ge=0,
    )

    @field_validator("compute_unit_prices")
    @classmethod
    def _are_steps(cls, steps: tuple[str, ...]) -> tuple[str, ...]:
        try:
            bounds = [bound for bound, _ in _steps_of(steps)]
        except (ArithmeticError, ValueError):
            raise ValueError("must be steps such as 30:0,300:0.45,0.40") from None
        known = [bound for bound in bounds[:-1] if bound is not None]
        if len(known) != len(bounds) - 1 or bounds[-1] is not None or known != sorted(set(known)):
            raise ValueError("must have a higher bound in each step, and none in the last, such as 30:0,300:0.45,0.40")
        return steps

    @property
    def price_steps(self) -> list[tuple[Decimal | None, Decimal]]:
        """The price list: millions of compute units up to which a step applies, and USD for a million of them."""
        return _steps_of(self.compute_unit_prices)

    @field_validator("rpc_url_template")
    @classmethod
    def _has_its_places(cls, template: str) -> str:
        try:
            template.format(network="n", api_key="k")
        except (KeyError, IndexError, ValueError):
            raise ValueError("must have {network} and {api_key} as its only places in braces") from None
        if "{network}" not in template:
            raise ValueError("must have {network} in it, which stands for the chain")
        return template

    def key_for(self, chain_slug: str) -> SecretStr | None:
        """A chain's key: its own, else the one for all chains."""
        return self.chain_keys.get(chain_slug) or self.key

    def webhook_key_of(self, chain_slug: str) -> SecretStr | None:
        """The signing key of a chain's own webhook."""
        return self.webhook_signing_keys.get(chain_slug)


BULK_WAYS: Final = ("node-bulk", "alchemy-bulk")
LIST_WAYS: Final = ("alchemy-data", "alchemy-rpc", "node")
BALANCE_WAYS: Final = (*BULK_WAYS, *LIST_WAYS)


class BalanceSettings(Group):
    """Ways to read balances."""

    sources: Names = setting(
        BALANCE_WAYS,
        "BALANCE_SOURCES",
        about="Ways to read balances, in the order in which they are tried, each for what those before it could not "
        "read; those left out are not used. The bulk ways come first: they read what changed of many users in one "
        "call. Without them, sweeps list all tokens of each user.",
        shown_default=",".join(BALANCE_WAYS),
    )

    @field_validator("sources")
    @classmethod
    def _is_known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names) or not set(names) <= set(BALANCE_WAYS):
            raise ValueError(f"must be some of {', '.join(BALANCE_WAYS)}, each once, with commas between")
        if sorted(names, key=lambda name: name in LIST_WAYS) != list(names):
            raise ValueError(f"must have {' and '.join(BULK_WAYS)} before the others: they read what changed")
        return names


class NodeSettings(Group):
    """EVM nodes of the operator's own, a second source of balances; a URL may hold a key."""

    urls: OfEachChain[SecretUrl] = chain_setting("RPC_URL_{CHAIN}", about="An EVM node of {chain}.")

    def url_for(self, chain_slug: str) -> SecretStr | None:
        """The node of a chain."""
        return self.urls.get(chain_slug)


class PriceSettings(Group):
    """Sources of prices, and how far they are trusted."""

    binance_key: SecretStr | None = setting(None, "BINANCE_API_KEY", about="Key of Binance; its prices need none.")
    binance_base_url: Url = setting("https://api.binance.com", "BINANCE_BASE_URL", about="Binance's API.")
    binance_timeout_ms: Int = setting(5000, "BINANCE_TIMEOUT", unit="ms", about="Longest time of one call.", ge=100)
    binance_weight_rpm: Int = setting(
        6000, "BINANCE_WEIGHT_LIMIT_RPM", unit="weight/min", about="Request weight of this machine's address.", ge=1
    )
    coingecko_key: SecretStr | None = setting(
        None,
        "COINGECKO_API_KEY",
        about="Key of CoinGecko; without one it is asked by the ids of the token registry only.",
    )
    coingecko_base_url: Url = setting(
        "https://api.coingecko.com/api/v3", "COINGECKO_BASE_URL", about="CoinGecko's API; the pro host for a pro key."
    )
    coingecko_timeout_ms: Int = setting(
        10_000, "COINGECKO_TIMEOUT", unit="ms", about="Longest time of one call.", ge=100
    )
    coingecko_rpm: Int = setting(
        30, "COINGECKO_RATE_LIMIT_RPM", unit="requests/min", about="Requests of the plan.", ge=1
    )
    dexscreener_key: SecretStr | None = setting(None, "DEXSCREENER_API_KEY", about="Accepted; DexScreener has no keys.")
    dexscreener_base_url: Url = setting(
        "https://api.dexscreener.com/latest",
        "DEXSCREENER_BASE_URL",
        about="DexScreener's API, with or without /latest.",
    )
    dexscreener_timeout_ms: Int = setting(
        5000, "DEXSCREENER_TIMEOUT", unit="ms", about="Longest time of one call.", ge=100
    )
    dexscreener_rpm: Int = setting(
        300, "DEXSCREENER_RATE_LIMIT_RPM", unit="requests/min", about="Requests of this machine's address.", ge=1
    )
    defillama_base_url: Url = setting(
        "https://coins.llama.fi", "DEFILLAMA_BASE_URL", about="DefiLlama's coins API; it has no keys."
    )
    defillama_timeout_ms: Int = setting(5000, "DEFILLAMA_TIMEOUT", unit="ms", about="Longest time of one call.", ge=100)
    defillama_rpm: Int = setting(
        300, "DEFILLAMA_RATE_LIMIT_RPM", unit="requests/min", about="Requests of this machine's address.", ge=1
    )
    fresh_for_ms: Int = setting(
        300_000, "CACHE_TTL", unit="ms", about="How long a price serves unattended syncs.", ge=0
    )
    stale_limit_ms: Int = setting(
        3_600_000, "PRICE_STALE_LIMIT", unit="ms", about="The oldest price used where no source answers.", ge=0
    )
    max_age_ms: Int = setting(
        86_400_000,
        "PRICE_MAX_AGE",
        unit="ms",
        about="A price that its own source says is older is not counted; of stablecoins, seven times as old.",
        ge=60_000,
    )
    liquidity_floor_usd: Decimal = setting(
        Decimal(10_000),
        "PRICE_LIQUIDITY_FLOOR_USD",
        unit="USD",
        about="A token whose pools all hold less of trusted tokens is of low liquidity, and not counted.",
        ge=0,
    )
    disagreement_percent: Decimal = setting(
        Decimal(10), "PRICE_DISAGREEMENT_LIMIT", unit="%", about="Sources may differ by this much.", ge=0
    )
    far_factor: Decimal = setting(
        Decimal(10),
        "PRICE_FAR_LIMIT",
        unit="x",
        about="Two sources further apart contradict each other: a third decides, else the price is not counted.",
        ge=2,
    )
    jump_factor: Decimal = setting(
        Decimal(10), "PRICE_JUMP_LIMIT", unit="x", about="A price may move so far in a day, unconfirmed.", ge=1
    )
    unconfirmed_usd: Decimal = setting(
        Decimal(10_000),
        "PRICE_UNCONFIRMED_LIMIT_USD",
        unit="USD",
        about="Positions whose price nobody confirms count up to this value, all of them together.",
        ge=0,
    )


class HttpSettings(Group):
    """Bounds of every provider call."""

    max_body_bytes: Int = setting(
        33_554_432, "PROVIDER_MAX_BODY_BYTES", unit="bytes", about="Largest answer that is read.", ge=1024
    )
    max_pages: Int = setting(
        200,
        "PROVIDER_MAX_PAGES",
        unit="pages",
        about="Most pages of a list that one sync reads; the next goes on.",
        ge=1,
    )
