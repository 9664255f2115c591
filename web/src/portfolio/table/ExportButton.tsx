import { useState } from "react";
import { useStore } from "../../state/hooks";
import { EXPORT } from "../../strings/table";
import { Button } from "../../ui/Button";
import styles from "./ExportButton.module.css";

/** Saves the positions for a spreadsheet. A link could not carry the session, so the file is fetched. */
export function ExportButton() {
  const { file } = useStore();
  const [state, setState] = useState<"ready" | "busy" | "failed">("ready");
  const save = async () => {
    setState("busy");
    try {
      const url = URL.createObjectURL(await file("/portfolio.csv"));
      const link = document.createElement("a");
      link.href = url;
      link.download = `portfolio-${new Date().toISOString().slice(0, 10)}.csv`;
      link.click();
      URL.revokeObjectURL(url);
      setState("ready");
    } catch {
      setState("failed");
    }
  };
  return (
    <>
      <span role="status" className={styles.failed}>
        {state === "failed" && EXPORT.failed}
      </span>
      <Button onClick={save} unavailable={state === "busy" ? EXPORT.busy : null}>
        {EXPORT.action}
      </Button>
    </>
  );
}
