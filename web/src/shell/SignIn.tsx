import { useEffect, useState } from "react";
import { Problem, tokenOf } from "../api/client";
import { beginSession, isGood, knownUser, type Offer, openSession, readToken, type Session } from "../api/session";
import { safeText } from "../format/text";
import { Skeleton } from "../portfolio/Skeleton";
import {
  ENDED,
  goOnAs,
  REFUSED,
  signInAs,
  signInTitle,
  signInWarning,
  stayAs,
  TOKEN_IN_LINK,
  UNREACHABLE,
} from "../strings/app";
import { TRY_AGAIN } from "../strings/common";
import { Button } from "../ui/Button";
import { Notice } from "./Notice";
import styles from "./SignIn.module.css";

interface Props {
  offer: Offer;
  /** Once it is clear who is signed in, or that nobody is. */
  onDone: () => void;
}

type State = { kind: "asking" } | { kind: "other"; session: Session; known: string } | { kind: "failed"; why: Problem };

/** A link is being followed. One of another user than this browser knows asks before it takes their place. */
export function SignIn({ offer, onDone }: Props) {
  const [state, setState] = useState<State>({ kind: "asking" });
  const [tries, setTries] = useState(0);

  useEffect(() => {
    let isOver = false;
    const token: Promise<string> = offer === "token" ? Promise.reject(HOLDS_A_TOKEN) : onceFor(offer.code, tries);
    token.then(
      (token) => {
        if (isOver) return;
        const session = readToken(token);
        const known = knownUser();
        if (!session || !isGood(session)) setState({ kind: "failed", why: new Problem("token_expired", ENDED.text) });
        else if (known !== null && known !== session.userId) setState({ kind: "other", session, known });
        else {
          beginSession(session);
          onDone();
        }
      },
      (why: Problem) => !isOver && setState({ kind: "failed", why }),
    );
    return () => {
      isOver = true;
    };
  }, [offer, tries, onDone]);

  if (state.kind === "asking") return <Skeleton />;
  if (state.kind === "other") {
    const [user, known] = [safeText(state.session.userId), safeText(state.known)];
    const accept = () => {
      beginSession(state.session);
      onDone();
    };
    return (
      <Notice
        title={signInTitle(user)}
        action={
          <p className={styles.actions}>
            <Button kind="primary" onClick={onDone}>
              {stayAs(known)}
            </Button>
            <Button onClick={accept}>{signInAs(user)}</Button>
          </p>
        }
      >
        {signInWarning(user, known)}
      </Notice>
    );
  }
  const { why } = state;
  const own = openSession();
  const again = () => {
    setState({ kind: "asking" });
    setTries(tries + 1);
  };
  return (
    <Notice
      title={why.isOutage ? UNREACHABLE.title : why.code === "token_expired" ? ENDED.title : REFUSED}
      action={
        why.isOutage ? (
          <Button onClick={again}>{TRY_AGAIN}</Button>
        ) : (
          own && <Button onClick={onDone}>{goOnAs(safeText(own.userId))}</Button>
        )
      }
    >
      {why.message}
    </Notice>
  );
}

const HOLDS_A_TOKEN = new Problem("token_in_link", TOKEN_IN_LINK);
const asked = new Map<string, Promise<string>>();

/** A code is good once: whoever draws this anew hears the answer that was given. */
function onceFor(code: string, tries: number): Promise<string> {
  const key = `${tries} ${code}`;
  const answer = asked.get(key) ?? tokenOf(code);
  asked.set(key, answer);
  return answer;
}
