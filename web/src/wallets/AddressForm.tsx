import { type FormEvent, useId, useRef, useState } from "react";
import { Problem } from "../api/client";
import { shapeProblem } from "../strings/addressProblem";
import { ADDRESS_FORM, refusalText } from "../strings/wallets";
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
      setRefusal(refusalText(error));
    } finally {
      setAdding(false);
      field.current?.focus();
    }
  };

  return (
    <form className={styles.form} onSubmit={submit} noValidate>
      <label id={label} className={styles.label}>
        {ADDRESS_FORM.label}
        <input
          ref={field}
          className={styles.field}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setRefusal(null);
          }}
          placeholder={ADDRESS_FORM.placeholder}
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
        unavailable={isAdding ? ADDRESS_FORM.isAdding : null}
      >
        {isAdding ? ADDRESS_FORM.adding : action}
      </Button>
      <p id={wrong} className={styles.wrong} role="alert">
        {problem}
      </p>
    </form>
  );
}
