"""The setting that lists chains, and the settings that each chain has."""

import pytest

from moonx_pipeline.domain.chains import DEFAULT_CHAINS, KNOWN_CHAINS
from moonx_pipeline.settings import InvalidSettings, Settings
from moonx_pipeline.settings.load import rows, shown_value, value_of
from moonx_pipeline.settings.rules import missing_for_worker

KNOWN = ", ".join(chain.slug for chain in KNOWN_CHAINS)


def problem_of(**environment: str) -> str:
    with pytest.raises(InvalidSettings) as invalid:
        Settings.from_environment(environment)
    (problem,) = invalid.value.problems
    return problem


def slugs(**environment: str) -> list[str]:
    return [chain.slug for chain in Settings.from_environment(environment).chains]


def test_chains_unset_or_empty_are_the_five_of_the_contract() -> None:
    five = ["ethereum", "polygon", "optimism", "arbitrum", "base"]

    assert slugs() == slugs(CHAINS=" ") == [chain.slug for chain in DEFAULT_CHAINS] == five


def test_chains_in_any_order_and_case_come_in_the_order_of_display() -> None:
    assert slugs(CHAINS=" base,Polygon, ethereum,") == ["ethereum", "polygon", "base"]


def test_all_known_chains_can_be_read() -> None:
    assert Settings.from_environment({"CHAINS": KNOWN}).chains == KNOWN_CHAINS


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("etherium", "ethereum"),
        ("eth", "ethereum"),
        ("matic", "polygon"),
        ("polygon-pos", "polygon"),
        ("optimistic-ethereum", "optimism"),
        ("8453", "base"),
    ],
)
def test_unknown_chain_is_told_the_nearest_right_one(given: str, right: str) -> None:
    told = f"CHAINS names '{given}', which is no known chain (did you mean {right}?). Known are {KNOWN}."

    assert problem_of(CHAINS=f"base,{given}") == told


def test_chain_that_is_near_to_none_is_told_all_of_them() -> None:
    assert problem_of(CHAINS="solana") == f"CHAINS names 'solana', which is no known chain. Known are {KNOWN}."


def test_a_list_without_a_chain_is_an_error() -> None:
    assert problem_of(CHAINS=" , ") == f"CHAINS names no chain: give one or more of {KNOWN}."


def test_a_chain_named_twice_is_an_error() -> None:
    assert problem_of(CHAINS="base,polygon,Base") == "CHAINS names base twice."


def test_a_mistyped_name_of_the_setting_is_corrected_and_the_demos_is_not() -> None:
    assert problem_of(CHAINZ="base") == "CHAINZ is no setting: did you mean CHAINS?"
    assert slugs(CHAIN="anvil") == slugs()


@pytest.mark.parametrize("chain", KNOWN_CHAINS, ids=lambda chain: chain.slug)
def test_each_known_chain_has_keys_and_a_node_of_its_own(chain) -> None:
    name = chain.slug.upper()
    settings = Settings.from_environment(
        {
            f"ALCHEMY_API_KEY_{name}": "own",
            f"ALCHEMY_WEBHOOK_SIGNING_KEY_{name}": "signs",
            f"RPC_URL_{name}": "https://node.test/key/",
        }
    )
    values = (
        settings.alchemy.key_for(chain.slug),
        settings.alchemy.webhook_key_of(chain.slug),
        settings.nodes.url_for(chain.slug),
    )
    others = [other.slug for other in KNOWN_CHAINS if other is not chain]

    assert [value and value.get_secret_value() for value in values] == ["own", "signs", "https://node.test/key"]
    assert len(others) == len(KNOWN_CHAINS) - 1
    for slug in others:
        assert settings.alchemy.key_for(slug) is None
        assert settings.alchemy.webhook_key_of(slug) is None
        assert settings.nodes.url_for(slug) is None


def test_settings_with_the_same_keys_of_chains_are_one_key_of_a_cache() -> None:
    def of(**environment: str) -> Settings:
        return Settings.from_environment(environment)

    one, same = of(RPC_URL_BASE="http://a", CHAINS="base"), of(CHAINS="base", RPC_URL_BASE="http://a/")

    assert (one, hash(one)) == (same, hash(same))
    assert one != of(RPC_URL_BASE="http://b", CHAINS="base")
    assert hash(of()) == hash(of())


def test_a_bad_setting_of_a_chain_is_told_by_its_own_name() -> None:
    told = problem_of(RPC_URL_POLYGON="ftp://key@host")

    assert told == "RPC_URL_POLYGON must be a URL such as https://host/path."


def test_a_mistyped_setting_of_a_chain_is_told_the_right_one() -> None:
    assert problem_of(RPC_URL_POLIGON="http://h") == "RPC_URL_POLIGON is no setting: did you mean RPC_URL_POLYGON?"


def test_settings_of_chains_are_shown_one_by_one_and_never_their_secrets() -> None:
    settings = Settings.from_environment({"RPC_URL_BASE": "https://node.test/sekrit", "CHAINS": "base,polygon"})
    shown = {row.names[0]: shown_value(value_of(settings, row)) for row in rows()}

    assert (shown["RPC_URL_BASE"], shown["RPC_URL_POLYGON"]) == ("set, hidden", "none")
    assert shown["CHAINS"] == "polygon,base"
    assert {row.names[0] for row in rows() if row.chain and not row.secret} == set()
    assert sum(row.chain is not None for row in rows()) == 3 * len(KNOWN_CHAINS)


def test_production_wants_a_source_of_a_chain_that_is_read() -> None:
    elsewhere = {
        "MOONX_ENV": "production", "RPC_URL_BASE": "http://node.test", "DB_HOST": "h", "DB_PASSWORD": "p",
    }  # fmt: skip

    missing = missing_for_worker(Settings.from_environment({"CHAINS": "polygon", **elsewhere}))
    assert missing is not None
    assert "ALCHEMY_API_KEY" in missing
    assert missing_for_worker(Settings.from_environment({"CHAINS": "base", **elsewhere})) is None
