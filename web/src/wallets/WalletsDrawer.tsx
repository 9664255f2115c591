import { useState } from "react";
import { Problem } from "../api/client";
import { shortAddress } from "../format/text";
import { COPY, LOADING, TRY_AGAIN } from "../strings/common";
import { removalNote, removeAddress, removed, WALLETS, walletCount, walletLimit } from "../strings/wallets";
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
    <Drawer open={open} onClose={onClose} title={WALLETS.title}>
      <WalletList />
    </Drawer>
  );
}

function WalletList() {
  const { wallets, problem, read, add, remove } = useWallets();
  const [said, setSaid] = useState("");
  if (problem && !wallets)
    return (
      <ErrorNote {...WALLETS.failed}>
        <Button onClick={read}>{TRY_AGAIN}</Button>
      </ErrorNote>
    );
  if (!wallets) return <p className={styles.quiet}>{LOADING}</p>;
  const { wallets: addresses, maxWallets } = wallets;
  const removeOne = async (address: string) => {
    await remove(address);
    setSaid(removed(address));
  };
  const isFull = addresses.length >= maxWallets;
  return (
    <div className={styles.wallets}>
      {isFull ? (
        <p className={styles.quiet}>{walletLimit(maxWallets)}</p>
      ) : (
        <AddressForm registered={addresses} onAdd={add} action={WALLETS.add} />
      )}
      <p className={styles.quiet}>
        {walletCount(addresses.length, maxWallets)}
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
        <CopyText text={address} what={COPY.address}>
          {shortAddress(address)}
        </CopyText>
        {isListed && (
          // The focus comes back from the answer to where the question was asked.
          <Button
            kind="quiet"
            autoFocus={state === "kept"}
            aria-label={removeAddress(address)}
            onClick={() => setState("asked")}
          >
            {WALLETS.remove}
          </Button>
        )}
      </div>
      {!isListed && (
        // biome-ignore lint/a11y/useSemanticElements: a fieldset has a look of its own.
        <div className={styles.confirm} role="group" aria-label={`${removeAddress(address)}?`}>
          <p>{removalNote(isLast)}</p>
          {state === "failed" && (
            <p className={styles.failed} role="alert">
              {WALLETS.notRemoved}
            </p>
          )}
          <div className={styles.choice}>
            <Button kind="danger" unavailable={state === "removing" ? WALLETS.isRemoving : null} onClick={remove}>
              {state === "removing" ? WALLETS.removing : WALLETS.removeWallet}
            </Button>
            {/* The button that asked is gone; the harmless answer comes first. */}
            <Button kind="quiet" autoFocus onClick={() => setState("kept")}>
              {WALLETS.keep}
            </Button>
          </div>
        </div>
      )}
    </>
  );
}
