/** The connection over which the server says what changed. */
import { io, type Socket } from "socket.io-client";
import type { ServerEvents } from "../api/types";

/** `reconnecting`: the socket is lost, and tried again; `offline`: requests are not answered either. */
export type Connection = "live" | "reconnecting" | "offline" | "ended";

/** A refusal for another reason than the token, such as keys that can't be read, is asked about again after this. */
const REFUSED_MS = 15_000;

export interface SocketOptions {
  token: string;
  /** The newest version that is shown: what is newer is sent at connect. */
  lastVersion: () => number | undefined;
  /** Is told of each try that failed, too: "reconnecting" again. */
  onConnection: (connection: Exclude<Connection, "offline">) => void;
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

  let again: ReturnType<typeof setTimeout> | undefined;

  const end = () => {
    onConnection("ended");
    socket.disconnect();
  };
  socket.on("connect", () => onConnection("live"));
  socket.on("disconnect", (reason) => {
    if (reason === "io client disconnect") return;
    onConnection("reconnecting");
    // After a farewell of the server the client does not come back by itself.
    if (reason === "io server disconnect") socket.connect();
  });
  socket.on("connect_error", (error) => {
    // The server's refusal leaves the socket inactive; all else is tried again.
    if (!socket.active) {
      const { code = error.message } = (error as Error & { data?: { code?: string } }).data ?? {};
      if (code === "token_expired" || code === "unauthorized") return end();
      again = setTimeout(() => socket.connect(), REFUSED_MS);
    }
    onConnection("reconnecting");
  });
  socket.on("session_ended", end);
  for (const [name, listener] of Object.entries(on)) socket.on(name as keyof ServerEvents, listener as never);
  return () => {
    clearTimeout(again);
    socket.disconnect();
  };
}
