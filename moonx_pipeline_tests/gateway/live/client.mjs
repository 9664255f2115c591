// The official Socket.IO client: what it receives goes to stdout, what it is to do comes by stdin, both as JSON lines.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../../../web/package.json", import.meta.url));
const { io } = require("socket.io-client");

const { url, auth, options } = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

let version = auth?.lastVersion;
const socket = io(url, {
  auth: (send) => send(auth && { ...auth, lastVersion: version }),
  reconnectionDelay: 50,
  reconnectionDelayMax: 200,
  forceNew: true,
  ...options,
});
socket.on("connect", () => say({ name: "connect", transport: socket.io.engine.transport.name }));
socket.on("disconnect", (reason) => say({ name: "disconnect", reason }));
socket.on("connect_error", (error) => say({ name: "connect_error", message: error.message, data: error.data }));
socket.onAny((name, data) => {
  if (name === "portfolio_update") {
    version = Math.max(version ?? 0, data.version);
  }
  say({ name, data });
});

createInterface({ input: process.stdin }).on("line", (line) => {
  const [name, ...data] = JSON.parse(line);
  if (name === "break the connection") {
    socket.io.engine.close();
    return;
  }
  socket.emit(name, ...data, (answer) => say({ name: "answer", data: answer }));
});
