import { useState } from "react";
import { Problem } from "../api/client";
import { counted, shortAddress } from "../format/text";
import { Button } from "../ui/Button";
import { CopyText } from "../ui/CopyText";
import { Drawer } from "../ui/Drawer";
import { ErrorNote } from "../ui/ErrorNote";
import { VisuallyHidden } from "../ui/VisuallyHidden";
import { AddressForm } from "./AddressForm";
import { useWallets } from "./useWallets";
import styles from "./WalletsDrawer.module.css";

interface Props {
  open: boolean;
  onClose: () => void;
}

/** The wallets that make up the portfolio. */
export function WalletsDrawer({ open, onClose }: Props) {
  return (
    <Drawer open={open} onClose={onClose} title="Wallets">
      <WalletList />
    </Drawer>
  );
}

function WalletList() {
  const { wallets, problem, read, add, remove } = useWallets();
  const [said, setSaid] = useState("");
  if (problem && !wallets)
    return (
      <ErrorNote what="Your wallets could not be read." next="Check your connection and try again.">
        <Button onClick={read}>Try again</Button>
      </ErrorNote>
    );
  if (!wallets) return <p className={styles.quiet}>Loading…</p>;
  const { wallets: addresses, maxWallets } = wallets;
  const removeOne = async (address: string) => {
    await remove(address);
    setSaid(`${shortAddress(address)} is removed.`);
  };
  const isFull = addresses.length >= maxWallets;
  return (
    <div className={styles.wallets}>
      {isFull ? (
        <p className={styles.quiet}>
          {counted(maxWallets, "wallet")} are the most there can be. Remove one to add another.
        </p>
      ) : (
        <AddressForm registered={addresses} onAdd={add} action="Add" />
      )}
      <p className={styles.quiet}>
        {addresses.length} of {counted(maxWallets, "wallet")}
        <VisuallyHidden role="status">{said}</VisuallyHidden>
      </p>
      <ul>
        {addresses.map((address) => (
          <li key={address} className={styles.wallet}>
            <WalletRow address={address} isLast={addresses.length === 1} onRemove={removeOne} />
          </li>
        ))}
      </ul>
    </div>
  );
}

interface RowProps {
  address: string;
  isLast: boolean;
  onRemove: (address: string) => Promise<void>;
}

function WalletRow({ address, isLast, onRemove }: RowProps) {
  const [state, setState] = useState<"listed" | "asked" | "removing" | "failed" | "kept">("listed");
  const isListed = state === "listed" || state === "kept";

  const remove = async () => {
    setState("removing");
    try {
      await onRemove(address);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setState("failed");
    }
  };

  return (
    <>
      <div className={styles.line}>
        <CopyText text={address} what="address">
          {shortAddress(address)}
        </CopyText>
        {isListed && (
          // The focus comes back from the answer to where the question was asked.
          <Button
            kind="quiet"
            autoFocus={state === "kept"}
            aria-label={`Remove ${shortAddress(address)}`}
            onClick={() => setState("asked")}
          >
            Remove
          </Button>
        )}
      </div>
      {!isListed && (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset has a look of its own.
        <div className={styles.confirm} role="group" aria-label={`Remove ${shortAddress(address)}?`}>
          <p>
            Its tokens and their history leave {isLast ? "your portfolio, which is empty then" : "your portfolio"}. On
            the chain nothing happens, and you can add it again.
          </p>
          {state === "failed" && (
            <p className={styles.failed} role="alert">
              It could not be removed. Check your connection and try again.
            </p>
          )}
          <div className={styles.choice}>
            <Button kind="danger" unavailable={state === "removing" ? "It is being removed." : null} onClick={remove}>
              {state === "removing" ? "Removing" : "Remove wallet"}
            </Button>
            {/* The button that asked is gone; the harmless answer comes first. */}
            <Button kind="quiet" autoFocus onClick={() => setState("kept")}>
              Keep it
            </Button>
          </div>
        </div>
      )}
    </>
  );
}
