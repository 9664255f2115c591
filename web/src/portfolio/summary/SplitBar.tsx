import { type CSSProperties, useMemo, useState } from "react";
import type { Portfolio } from "../../api/schema";
import { chainColour } from "../../chains";
import { usd } from "../../format/numbers";
import { useChains } from "../../state/hooks";
import { otherParts, SPLIT } from "../../strings/summary";
import { Choice } from "../../ui/Choice";
import styles from "./SplitBar.module.css";
import { type Part, type SplitBy, split, tenthsText } from "./split";

const WAYS: { value: SplitBy; label: string }[] = [
  { value: "token", label: SPLIT.token },
  { value: "chain", label: SPLIT.chain },
];

/** How the number is made up, as one bar; its legend sums to 100 %. */
export function SplitBar({ portfolio }: { portfolio: Portfolio }) {
  const [by, setBy] = useState<SplitBy>("token");
  const chains = useChains();
  const [isOtherOpen, setOtherOpen] = useState(false);
  const { parts, other, otherTenths } = useMemo(() => split(portfolio, by, chains), [portfolio, by, chains]);
  if (parts.length === 0) return null;
  return (
    <section className={styles.split} aria-label={SPLIT.label}>
      <div className={styles.head}>
        <h2 className={styles.title}>{SPLIT.title}</h2>
        <Choice label={SPLIT.ways} options={WAYS} value={by} onChange={setBy} />
      </div>
      <div className={styles.bar} aria-hidden="true">
        {parts.map((part, index) => (
          <span key={part.key} className={styles.part} style={look(part.tenths, colourOf(part, index))} />
        ))}
        {other.length > 0 && <span className={styles.part} style={look(otherTenths, OTHER_COLOUR)} />}
      </div>
      <ul className={styles.legend}>
        {parts.map((part, index) => (
          <Entry key={part.key} part={part} colour={colourOf(part, index)} />
        ))}
        {other.length > 0 && (
          <li>
            <button
              type="button"
              className={`${styles.entry} ${styles.other}`}
              aria-expanded={isOtherOpen}
              onClick={() => setOtherOpen(!isOtherOpen)}
            >
              <span className={styles.dot} style={paint(OTHER_COLOUR)} />
              <span className={styles.label}>{otherParts(other.length)}</span>
              <span className={styles.share}>{tenthsText(otherTenths)}</span>
            </button>
          </li>
        )}
      </ul>
      {isOtherOpen && (
        <ul className={`${styles.legend} ${styles.opened}`} aria-label={SPLIT.others}>
          {other.slice(0, 100).map((part) => (
            <Entry key={part.key} part={part} colour={OTHER_COLOUR} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Entry({ part, colour }: { part: Part; colour: string }) {
  return (
    <li className={styles.entry} title={usd(part.valueUsd)}>
      <span className={styles.dot} style={paint(colour)} />
      <span className={styles.label}>{part.label}</span>
      <span className={styles.share}>{tenthsText(part.tenths)}</span>
    </li>
  );
}

const OTHER_COLOUR = "var(--part-other)";

function colourOf({ chainId }: Part, index: number): string {
  return chainId === null ? `var(--part-${(index % 7) + 1})` : chainColour(chainId);
}

function paint(colour: string): CSSProperties {
  return { "--colour": colour } as CSSProperties;
}

function look(tenths: number, colour: string): CSSProperties {
  return { flexGrow: tenths, ...paint(colour) };
}
