import { type FormEvent, useId, useRef, useState } from "react";
import { Problem } from "../api/client";
import { shapeProblem } from "../strings/addressProblem";
import { Button } from "../ui/Button";
import styles from "./AddressForm.module.css";

interface Props {
  /** Addresses that are there already, in lower case. */
  registered: readonly string[];
  /** Registers it; throws `Problem`. */
  onAdd: (address: string) => Promise<void>;
  action: string;
  autoFocus?: boolean;
}

/** A field for one address, which says in place what is wrong with it. */
export function AddressForm({ registered, onAdd, action, autoFocus }: Props) {
  const [text, setText] = useState("");
  const [wasTried, setTried] = useState(false);
  const [isAdding, setAdding] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const field = useRef<HTMLInputElement>(null);
  const [label, wrong] = [useId(), useId()];

  const shape = shapeProblem(text, registered);
  const problem = refusal ?? (wasTried ? shape : null);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isAdding) return;
    setTried(true);
    if (shape) {
      field.current?.focus();
      return;
    }
    setAdding(true);
    try {
      await onAdd(text.trim());
      setText("");
      setTried(false);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setRefusal(refusalWords(error));
    } finally {
      setAdding(false);
      field.current?.focus();
    }
  };

  return (
    <form className={styles.form} onSubmit={submit} noValidate>
      <label id={label} className={styles.label}>
        Wallet address
        <input
          ref={field}
          className={styles.field}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setRefusal(null);
          }}
          placeholder="0x…"
          // biome-ignore lint/a11y/noAutofocus: it is all that there is to do here.
          autoFocus={autoFocus}
          autoComplete="off"
          autoCapitalize="off"
          autoCorrect="off"
          spellCheck={false}
          aria-invalid={problem !== null}
          aria-describedby={wrong}
        />
      </label>
      <Button
        type="submit"
        kind="primary"
        className={styles.action}
        unavailable={isAdding ? "It is being added." : null}
      >
        {isAdding ? "Adding" : action}
      </Button>
      <p id={wrong} className={styles.wrong} role="alert">
        {problem}
      </p>
    </form>
  );
}

function refusalWords({ code, message, details }: Problem): string {
  if (code === "offline") return "The server can’t be reached. Check your connection and try again.";
  if (code === "invalid_request") return `${details[0]?.message ?? message}.`.replace(/\.\.$/, ".");
  return "It could not be added, for a fault on our side. Try again in a moment.";
}
