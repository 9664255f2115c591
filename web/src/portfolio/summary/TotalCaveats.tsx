import { useState } from "react";
import type { Portfolio, Position } from "../api/types";
import { chainName } from "../chains";
import { amount, usd } from "../format/numbers";
import { counted, safeText, shortAddress } from "../format/text";
import { ago, moment } from "../format/time";
import { useHidden, useNow } from "../state/hooks";
import { positionKey } from "../state/sharing";
import { freshness } from "./freshness";
import styles from "./Honesty.module.css";
import { groupOf } from "./rows";
import { Why } from "./Why";
import why from "./Why.module.css";
import { capital, notCountedReason, spamReason } from "./words";

/** One quiet sentence that is always true; each part opens its why. */
export function Honesty({ portfolio }: { portfolio: Portfolio }) {
  const { omitted } = portfolio;
  return (
    <div className={styles.line}>
      <Read portfolio={portfolio} />
      {omitted.unread > 0 && <Unread count={omitted.unread} />}
      {omitted.unpriced > 0 && <Unpriced portfolio={portfolio} />}
      {omitted.lowLiquidity > 0 && <LowLiquidity portfolio={portfolio} />}
      {omitted.flagged > 0 && <Flagged portfolio={portfolio} />}
      {omitted.spam > 0 && <Spam portfolio={portfolio} />}
    </div>
  );
}

function Read({ portfolio }: { portfolio: Portfolio }) {
  const now = useNow(1_000);
  const { text, tone } = freshness(portfolio, now);
  return (
    <Why label={text} tone={tone} title="When each chain was read">
      <ul className={why.list}>
        {portfolio.chains.map(({ chainId, status, syncedAt, error }) => (
          <li key={chainId}>
            <span>{chainName(chainId)}</span>
            <span className={why.number}>
              {syncedAt ? `${moment(syncedAt, now)}, ${ago(syncedAt, now)}` : "never read"}
            </span>
            {(error || status === "stale") && <small>{safeText(error, 200) || "It did not answer since."}</small>}
          </li>
        ))}
      </ul>
    </Why>
  );
}

function Unread({ count }: { count: number }) {
  const [it, has] = count === 1 ? ["it", "its contract"] : ["them", "their contracts"];
  return (
    <Why
      label={`${counted(count, "token")} could not be read`}
      tone="warn"
      title="Not in the number above, and not in the list below"
    >
      <p className={why.note}>
        How much of {it} you hold is not known: {has} did not say, and never did before. The next sync asks again.
      </p>
    </Why>
  );
}

function Unpriced({ portfolio }: { portfolio: Portfolio }) {
  const unpriced = portfolio.positions.filter(({ notCountedReason: reason }) => reason === "unpriced");
  const { unpriced: count } = portfolio.omitted;
  return (
    <Why label={`${counted(count, "token")} ${count === 1 ? "has" : "have"} no price`} title="Not in the number above">
      <Positions positions={unpriced} right={(position) => amount(position.amount)} />
      <p className={why.note}>No source that we trust has a price for {count === 1 ? "it" : "them"}.</p>
    </Why>
  );
}

function LowLiquidity({ portfolio }: { portfolio: Portfolio }) {
  const thin = portfolio.positions.filter((position) => groupOf(position) === "lowLiquidity");
  return (
    <Why
      label={`${counted(portfolio.omitted.lowLiquidity, "token")} hard to sell`}
      title="Shown below with their last price, and not in the number above"
    >
      <Positions positions={thin} right={({ valueUsd }) => `${usd(valueUsd)}, not counted`} />
      <p className={why.note}>{notCountedReason("low_liquidity")}.</p>
    </Why>
  );
}

function Flagged({ portfolio }: { portfolio: Portfolio }) {
  const flagged = portfolio.positions.filter(
    (position) => groupOf(position) === "unsure" && position.notCountedReason !== "unpriced",
  );
  return (
    <Why label={`${counted(portfolio.omitted.flagged, "price")} not trusted`} title="Not in the number above">
      <Positions
        positions={flagged}
        right={({ valueUsd }) => `${usd(valueUsd)}, not counted`}
        note={({ notCountedReason: reason }) => `${notCountedReason(reason ?? "")}.`}
      />
    </Why>
  );
}

function Spam({ portfolio }: { portfolio: Portfolio }) {
  const [isOpen, setOpen] = useState(false);
  const { data, problem } = useHidden(isOpen);
  return (
    <Why
      label={`${portfolio.omitted.spam.toLocaleString("en-US")} hidden as spam`}
      title="Hidden, and not in the number above"
      onOpen={setOpen}
    >
      {data ? (
        <ul className={why.list}>
          {reasons(data.positions).map(([reason, count]) => (
            <li key={reason}>
              <span>{capital(reason)}</span>
              <span className={why.number}>{count}</span>
            </li>
          ))}
        </ul>
      ) : (
        <p className={why.note}>{problem ? "The list can't be read now." : "Reading the list"}</p>
      )}
    </Why>
  );
}

function Positions(props: {
  positions: readonly Position[];
  right: (position: Position) => string;
  note?: (position: Position) => string;
}) {
  const most = 50;
  return (
    <ul className={why.list}>
      {props.positions.slice(0, most).map((position) => (
        <li key={positionKey(position)}>
          <span>
            {safeText(position.symbol) || shortAddress(position.tokenAddress)} on {chainName(position.chainId)}
          </span>
          <span className={why.number}>{props.right(position)}</span>
          {props.note && <small>{props.note(position)}</small>}
        </li>
      ))}
      {props.positions.length > most && <li>and {props.positions.length - most} more, in the list below</li>}
    </ul>
  );
}

/** How often each reason was found, the most frequent first; a token may have several. */
function reasons(positions: readonly Position[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { spamReasons } of positions)
    for (const reason of spamReasons.map(spamReason)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}
