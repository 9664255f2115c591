/** A server for one component: it answers from a fixture, by HTTP and Socket.IO, and tells what it was asked. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Server as Sockets } from "socket.io";
import type { Fixture, Reply } from "../fixtures/fixture";
import { moved, respond, tokenOf } from "../fixtures/serve";
import type { ServerEvents } from "../src/api/types";

export interface Asked {
  method: string;
  path: string;
  headers: IncomingMessage["headers"];
  body: unknown;
}
type Answer = Fixture["replies"][string] | ((asked: Asked) => Reply);

export class FixtureServer {
  /** All requests, in their order. */
  readonly asked: Asked[] = [];
  /** By method and path: what is answered from now on in place of the fixture's reply. */
  readonly answers: Record<string, Answer> = {};
  private readonly http = createServer((request, response) => void this.answer(request, response));
  private readonly sockets = new Sockets(this.http, { transports: ["websocket"] });

  constructor(private readonly fixture: Fixture) {
    this.sockets.on("connection", (socket) => {
      for (const { name, data } of fixture.events) socket.emit(name, moved(data, fixture));
    });
  }

  /** Starts it; answers its address. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.http.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}/`;
  }

  get token(): string {
    const { session } = this.fixture;
    if (!session) throw new Error("The fixture has no session.");
    return tokenOf("", session);
  }

  /** Tells an event once the page is connected. */
  async emit<Name extends keyof ServerEvents>(name: Name, data: Parameters<ServerEvents[Name]>[0]): Promise<void> {
    while (this.sockets.sockets.sockets.size === 0)
      await new Promise((resolve) => this.sockets.once("connection", resolve));
    this.sockets.emit(name, moved(data, this.fixture));
  }

  /** The requests of a method and path. */
  of(route: string): Asked[] {
    return this.asked.filter(({ method, path }) => `${method} ${path}` === route);
  }

  async stop(): Promise<void> {
    this.http.closeAllConnections();
    await this.sockets.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const { method = "GET", url: path = "/", headers } = request;
    const asked: Asked = { method, path, headers, body: text === "" ? null : JSON.parse(text) };
    this.asked.push(asked);
    const answer = this.answers[`${method} ${path}`];
    const replies = answer ? { "*": typeof answer === "function" ? answer(asked) : answer } : this.fixture.replies;
    respond({ ...this.fixture, replies }, request, response);
  }
}
