"""What the simulator's wallets hold, as the pipeline is to store it."""

from moonx_pipeline.simulator.world import (
    initial_holdings,
)


def expected(*wallets: str) -> dict[tuple[int, str], int]:
    return {
        (chain_id, holding.token.address): holding.balance
        for wallet in wallets
        for chain_id, holdings in initial_holdings(wallet).items()
        for holding in holdings
    }
