/** The connection over which the server says what changed. */
import { io, type Socket } from "socket.io-client";
import type { ServerEvents } from "../api/types";

/** `offline`: nothing answers, so what is shown may be old; `reconnecting`: just lost, and likely back in a moment. */
export type Connection = "live" | "reconnecting" | "offline" | "ended";

/** So many tries, over about ten seconds, and a lost connection is called offline. */
const TRIES_UNTIL_OFFLINE = 3;

export interface SocketOptions {
  token: string;
  /** The newest version that is shown: what is newer is sent at connect. */
  lastVersion: () => number | undefined;
  onConnection: (connection: Connection) => void;
  on: Partial<ServerEvents>;
}

/** Connects, and stays so as far as it can; answers how to stop. */
export function openSocket({ token, lastVersion, onConnection, on }: SocketOptions): () => void {
  const socket: Socket<ServerEvents> = io({
    path: "/socket.io",
    transports: ["websocket"],
    auth: (give) => give({ token, lastVersion: lastVersion() }),
    reconnectionDelay: 1_000,
    reconnectionDelayMax: 15_000,
  });
  let failures = 0;

  const end = () => {
    onConnection("ended");
    socket.disconnect();
  };
  socket.on("connect", () => {
    failures = 0;
    onConnection("live");
  });
  socket.on("disconnect", (reason) => {
    if (reason === "io client disconnect") return;
    onConnection(navigator.onLine ? "reconnecting" : "offline");
    // After a farewell of the server the client does not come back by itself.
    if (reason === "io server disconnect") socket.connect();
  });
  socket.on("connect_error", (error) => {
    // The server's refusal leaves the socket inactive; all else is tried again.
    if (!socket.active) {
      const { code = error.message } = (error as Error & { data?: { code?: string } }).data ?? {};
      if (code === "token_expired" || code === "unauthorized") return end();
      setTimeout(() => socket.connect(), 15_000);
    }
    failures += 1;
    onConnection(failures >= TRIES_UNTIL_OFFLINE || !navigator.onLine ? "offline" : "reconnecting");
  });
  socket.on("session_ended", end);
  for (const [name, listener] of Object.entries(on)) socket.on(name as keyof ServerEvents, listener as never);

  const wentOffline = () => onConnection("offline");
  window.addEventListener("offline", wentOffline);
  return () => {
    window.removeEventListener("offline", wentOffline);
    socket.disconnect();
  };
}
