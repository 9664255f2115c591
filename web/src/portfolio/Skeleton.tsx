import type { ReactNode } from "react";
import { READING } from "../strings/app";
import { VisuallyHidden } from "../ui/VisuallyHidden";
import chart from "./chart/LineChart.module.css";
import view from "./PortfolioView.module.css";
import styles from "./Skeleton.module.css";

interface Props {
  /** In the place of the number, and of the sync. */
  title?: string;
  children?: ReactNode;
}

/** The layout to come, without what it will say. */
export function Skeleton({ title, children }: Props) {
  return (
    <div className={view.view} aria-busy="true">
      <div className={view.top}>
        {title ? (
          <h1 className={styles.title}>{title}</h1>
        ) : (
          <div className={styles.number}>
            <h1>
              <VisuallyHidden>{READING}</VisuallyHidden>
            </h1>
            <Bone width={280} height={44} />
          </div>
        )}
        <div className={view.sync}>{children ?? <Bone width={208} height={40} />}</div>
        <div className={view.line}>
          <Bone width={420} height={20} />
        </div>
      </div>
      <div>
        <div className={chart.head}>
          <Bone width={200} height={16} />
          <Bone width={180} height={32} />
        </div>
        <div className={chart.box} />
        <div className={chart.ends} />
      </div>
      <div className={styles.split}>
        <Bone width={96} height={16} />
        <Bone height={12} />
        <Bone width={480} height={16} />
      </div>
      <div className={styles.tokens}>
        <Bone width={240} height={36} />
        {[0, 1, 2, 3, 4, 5].map((row) => (
          <div key={row} className={styles.row}>
            <span className={styles.logo} />
            <Bone width={128} height={16} />
            <span className={styles.value}>
              <Bone width={80} height={16} />
            </span>
          </div>
        ))}
      </div>
    </div>
  );
}

function Bone({ width, height }: { width?: number; height: number }) {
  return <span className={styles.bone} style={{ width: width ?? "100%", height }} />;
}
