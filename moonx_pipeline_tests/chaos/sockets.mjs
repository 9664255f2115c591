// Many official Socket.IO clients in one process: what each receives goes to stdout as JSON lines.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../web/package.json", import.meta.url));
const { io } = require("socket.io-client");

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

for (const { client, url, token } of JSON.parse(process.argv[2])) {
  let version = 0;
  const socket = io(url, {
    auth: (send) => send({ token, lastVersion: version }),
    reconnectionDelay: 100,
    reconnectionDelayMax: 1000,
    timeout: 4000,
    forceNew: true,
  });
  socket.on("connect", () => say({ client, name: "connect" }));
  socket.on("disconnect", () => say({ client, name: "disconnect" }));
  // A refusal of the server's own is final for the library: a page tries again, too.
  socket.on("connect_error", () => setTimeout(() => socket.active || socket.connect(), 500));
  socket.onAny((name, data) => {
    if (name === "portfolio_update") {
      version = Math.max(version, data.version);
    }
    say({ client, name, data });
  });
}

process.stdin.on("end", () => process.exit(0)).resume();
