import { lazy, Suspense, useCallback, useEffect, useState } from "react";
import styles from "./App.module.css";
import type { Wallets } from "./api/schema";
import { type Offer, openSession } from "./api/session";
import { ago } from "./format/time";
import { PortfolioView } from "./portfolio/PortfolioView";
import { Skeleton } from "./portfolio/Skeleton";
import type { Place } from "./shell/AccountMenu";
import { Header } from "./shell/Header";
import { Notice, Strip } from "./shell/Notice";
import { SignIn } from "./shell/SignIn";
import { StoreContext, useLive, useNow, usePortfolio, useStore } from "./state/hooks";
import { Store } from "./state/store";
import { ENDED, FIRST_READING, lastKnown, notReadAnew, UNREACHABLE, UNSHOWABLE, unshowable } from "./strings/app";
import { TRY_AGAIN } from "./strings/common";
import { HistoryDrawer } from "./sync/HistoryDrawer";
import { SyncPanel } from "./sync/SyncPanel";
import { Button } from "./ui/Button";
import { FirstVisit } from "./wallets/FirstVisit";
import { WalletsDrawer } from "./wallets/WalletsDrawer";

const AdminView = lazy(() => import("./admin/AdminView").then(({ AdminView: view }) => ({ default: view })));

/**
 * @param begun The store of the session that the page begins with, if there is one.
 * @param offer What the link that was followed brings, if that must be looked into before there is a session.
 */
export function App({ begun, offer }: { begun: Store | null; offer: Offer | null }) {
  const [store, setStore] = useState(begun);
  const [isArriving, setArriving] = useState(offer !== null);
  const arrived = useCallback(() => {
    const session = openSession();
    setStore(session && new Store(session));
    setArriving(false);
  }, []);
  return (
    <StoreContext value={store}>
      {store ? (
        <SignedIn />
      ) : (
        <>
          <Header />
          <main className={styles.main}>
            {offer && isArriving ? <SignIn offer={offer} onDone={arrived} /> : <Ended />}
          </main>
        </>
      )}
    </StoreContext>
  );
}

function SignedIn() {
  const { start } = useStore();
  const [place, setPlace] = useState<Place | null>(null);
  const close = useCallback(() => setPlace(null), []);
  useEffect(start, [start]);
  return (
    <>
      <Header onOpen={setPlace} />
      <main className={styles.main}>
        {location.pathname === "/admin" ? (
          <Suspense fallback={null}>
            <AdminView />
          </Suspense>
        ) : (
          <Main />
        )}
      </main>
      <HistoryDrawer open={place === "history"} onClose={close} />
      <WalletsDrawer open={place === "wallets"} onClose={close} />
    </>
  );
}

/** The portfolio, or the state that stands in its place. */
function Main() {
  const { portfolio, isKept, problem, refresh } = usePortfolio();
  const { connection } = useLive();
  const again = <Button onClick={refresh}>{TRY_AGAIN}</Button>;

  if (!portfolio) {
    if (connection === "ended") return <Ended />;
    if (!problem) return <Skeleton />;
    return problem.isOutage ? (
      <Notice title={UNREACHABLE.title} action={again}>
        {UNREACHABLE.text}
      </Notice>
    ) : (
      <Notice title={UNSHOWABLE.title} action={again}>
        {unshowable(problem.message)}
      </Notice>
    );
  }
  if (portfolio.asOf === null && !isKept) return <BeforeFirstSync />;
  const isOld = connection === "ended" || connection === "offline" || (isKept && problem !== null);
  return (
    <>
      <PortfolioView portfolio={portfolio} isOld={isOld} />
      {connection === "ended" ? (
        <Strip>{ENDED.strip}</Strip>
      ) : isOld ? (
        <LastKnown action={again} />
      ) : (
        problem && <Strip action={again}>{notReadAnew(problem.message)}</Strip>
      )}
    </>
  );
}

function LastKnown({ action }: { action: React.ReactNode }) {
  const { receivedAt } = usePortfolio();
  const now = useNow(1_000);
  return <Strip action={action}>{lastKnown(receivedAt === null ? null : ago(receivedAt, now))}</Strip>;
}

/** No chain was ever read: nobody has told of a wallet yet, or the first reading is under way. */
function BeforeFirstSync() {
  const { request, refresh } = useStore();
  const [hasWallets, setHasWallets] = useState<boolean | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    request<Wallets>("/wallets", { signal: stop.signal }).then(
      ({ wallets }) => setHasWallets(wallets.length > 0),
      // Who can't be asked about wallets is better shown the page that waits than the one of a stranger.
      () => !stop.signal.aborted && setHasWallets(true),
    );
    return () => stop.abort();
  }, [request]);

  // It leads on to the portfolio by itself.
  if (hasWallets === false) return <FirstVisit onDone={refresh} />;
  if (hasWallets === null) return <Skeleton />;
  return (
    <Skeleton title={FIRST_READING}>
      <SyncPanel />
    </Skeleton>
  );
}

function Ended() {
  return <Notice title={ENDED.title}>{ENDED.text}</Notice>;
}
