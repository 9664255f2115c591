import { useState } from "react";
import type { Portfolio, Position } from "../../api/schema";
import { amount, usd } from "../../format/numbers";
import { capital, safeText, shortAddress } from "../../format/text";
import { ago, moment } from "../../format/time";
import { useChains, useHidden, useNow } from "../../state/hooks";
import { positionKey } from "../../state/sharing";
import { freshness } from "../../strings/freshness";
import {
  flaggedLabel,
  LOW_LIQUIDITY,
  lowLiquidityLabel,
  moreBelow,
  NOT_COUNTED_SUFFIX,
  NOT_IN_TOTAL,
  READ,
  SPAM,
  spamLabel,
  tokenOnChain,
  UNREAD,
  unpricedLabel,
  unpricedNote,
  unreadLabel,
  unreadNote,
} from "../../strings/summary";
import { chainNote } from "../../strings/syncLabels";
import { notCountedReason, spamReason } from "../../strings/tokenLabels";
import { Popover } from "../../ui/Popover";
import popover from "../../ui/Popover.module.css";
import { groupOf } from "../table/rows";
import styles from "./TotalCaveats.module.css";

/** One quiet sentence that is always true; each part opens its why. */
export function TotalCaveats({ portfolio }: { portfolio: Portfolio }) {
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
    <Popover label={text} tone={tone} title={READ.title}>
      <ul className={popover.list}>
        {portfolio.chains.map(({ chainId, name, status, syncedAt, error, errorCode }) => (
          <li key={chainId}>
            <span>{name}</span>
            <span className={popover.number}>
              {syncedAt ? `${moment(syncedAt, now)}, ${ago(syncedAt, now)}` : READ.never}
            </span>
            {(error || status === "stale") && <small>{chainNote({ reason: error, code: errorCode })}</small>}
          </li>
        ))}
      </ul>
    </Popover>
  );
}

function Unread({ count }: { count: number }) {
  return (
    <Popover label={unreadLabel(count)} tone="warn" title={UNREAD.title}>
      <p className={popover.note}>{unreadNote(count)}</p>
    </Popover>
  );
}

function Unpriced({ portfolio }: { portfolio: Portfolio }) {
  const unpriced = portfolio.positions.filter(({ notCountedReason: reason }) => reason === "unpriced");
  const { unpriced: count } = portfolio.omitted;
  return (
    <Popover label={unpricedLabel(count)} title={NOT_IN_TOTAL}>
      <PositionList positions={unpriced} right={(position) => amount(position.amount)} />
      <p className={popover.note}>{unpricedNote(count)}</p>
    </Popover>
  );
}

function LowLiquidity({ portfolio }: { portfolio: Portfolio }) {
  const thin = portfolio.positions.filter((position) => groupOf(position) === "lowLiquidity");
  return (
    <Popover label={lowLiquidityLabel(portfolio.omitted.lowLiquidity)} title={LOW_LIQUIDITY.title}>
      <PositionList positions={thin} right={({ valueUsd }) => usd(valueUsd) + NOT_COUNTED_SUFFIX} />
      <p className={popover.note}>{`${notCountedReason("low_liquidity")}.`}</p>
    </Popover>
  );
}

function Flagged({ portfolio }: { portfolio: Portfolio }) {
  const flagged = portfolio.positions.filter(
    (position) => groupOf(position) === "unsure" && position.notCountedReason !== "unpriced",
  );
  return (
    <Popover label={flaggedLabel(portfolio.omitted.flagged)} title={NOT_IN_TOTAL}>
      <PositionList
        positions={flagged}
        right={({ valueUsd }) => usd(valueUsd) + NOT_COUNTED_SUFFIX}
        note={({ notCountedReason: reason }) => `${notCountedReason(reason ?? "")}.`}
      />
    </Popover>
  );
}

function Spam({ portfolio }: { portfolio: Portfolio }) {
  const [isOpen, setOpen] = useState(false);
  const { data, problem } = useHidden(isOpen);
  return (
    <Popover label={spamLabel(portfolio.omitted.spam)} title={SPAM.title} onOpen={setOpen}>
      {data ? (
        <ul className={popover.list}>
          {reasons(data.positions).map(([reason, count]) => (
            <li key={reason}>
              <span>{capital(reason)}</span>
              <span className={popover.number}>{count}</span>
            </li>
          ))}
        </ul>
      ) : (
        <p className={popover.note}>{problem ? SPAM.failed : SPAM.reading}</p>
      )}
    </Popover>
  );
}

function PositionList(props: {
  positions: readonly Position[];
  right: (position: Position) => string;
  note?: (position: Position) => string;
}) {
  const most = 50;
  const chains = useChains();
  return (
    <ul className={popover.list}>
      {props.positions.slice(0, most).map((position) => (
        <li key={positionKey(position)}>
          <span>
            {tokenOnChain(
              safeText(position.symbol) || shortAddress(position.tokenAddress),
              chains.name(position.chainId),
            )}
          </span>
          <span className={popover.number}>{props.right(position)}</span>
          {props.note && <small>{props.note(position)}</small>}
        </li>
      ))}
      {props.positions.length > most && <li>{moreBelow(props.positions.length - most)}</li>}
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
