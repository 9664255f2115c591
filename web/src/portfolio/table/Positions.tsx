import { useDeferredValue, useMemo, useState } from "react";
import type { Portfolio } from "../../api/schema";
import { useChains, useHidden } from "../../state/hooks";
import { shownOf, TABLE } from "../../strings/table";
import { Grid } from "./Grid";
import styles from "./Positions.module.css";
import { type Column, type Group, grouped, NO_FILTER, nextSorting, type Sorting, uncountedReasons } from "./rows";
import { Toolbar } from "./Toolbar";

/** All that is held, in groups: what makes up the number, what has no sure price, and what is hidden. */
export function Positions({ portfolio }: { portfolio: Portfolio }) {
  const [filter, setFilter] = useState(NO_FILTER);
  const [sorting, setSorting] = useState<Sorting>({ column: "value", descending: true });
  const [closed, setClosed] = useState<ReadonlySet<Group>>(() => new Set(["hidden"]));
  const hidden = useHidden(!closed.has("hidden"));
  const chains = useChains();
  const wanted = useDeferredValue(filter);

  const positions = useMemo(() => {
    const spam = hidden.data?.positions.filter(({ isSpam }) => isSpam) ?? [];
    return [...portfolio.positions.filter(({ isSpam }) => !isSpam), ...spam];
  }, [portfolio, hidden.data]);
  const groups = useMemo(() => grouped(positions, wanted, sorting, chains), [positions, wanted, sorting, chains]);
  const wallets = useMemo(() => [...new Set(positions.map(({ walletAddress }) => walletAddress))].sort(), [positions]);

  const reasons = useMemo(() => uncountedReasons(portfolio.positions), [portfolio]);

  const sort = (column: Column) => setSorting((current) => nextSorting(current, column));
  const toggle = (group: Group) =>
    setClosed((current) => {
      const next = new Set(current);
      if (!next.delete(group)) next.add(group);
      return next;
    });
  const visible = groups.filter(({ group }) => group !== "hidden");
  const [all, matching] = [sum(visible.map(({ count }) => count)), sum(visible.map((group) => group.positions.length))];

  return (
    <section className={styles.positions} aria-labelledby="tokens">
      <h2 id="tokens" className={styles.title}>
        {TABLE}
      </h2>
      <Toolbar
        filter={filter}
        onFilter={setFilter}
        sorting={sorting}
        onSort={sort}
        chains={chains.all}
        wallets={wallets}
        reasons={reasons}
        shown={shownOf(matching, all)}
      />
      <Grid
        portfolio={portfolio}
        groups={groups}
        closed={closed}
        onToggle={toggle}
        hiddenState={hidden.data ? "read" : hidden.problem ? "failed" : "reading"}
        showWallet={wallets.length > 1}
        sorting={sorting}
        onSort={sort}
      />
    </section>
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
