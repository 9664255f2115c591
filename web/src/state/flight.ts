/** One read at a time: who asks while one is under way waits for one more after it, however many they are. */
export class SingleFlight<T> {
  private running: Promise<void> | null = null;
  private next: { argument: T; promise: Promise<void> } | null = null;

  /** `job` must not throw. */
  constructor(private readonly job: (argument: T) => Promise<void>) {}

  run(argument: T): Promise<void> {
    if (!this.running) return this.launch(argument);
    if (this.next) this.next.argument = argument || this.next.argument;
    else {
      const promise = this.running.then(() => {
        const due = this.next;
        this.next = null;
        return due ? this.launch(due.argument) : undefined;
      });
      this.next = { argument, promise };
    }
    return this.next.promise;
  }

  private launch(argument: T): Promise<void> {
    this.running = this.job(argument).finally(() => {
      this.running = null;
    });
    return this.running;
  }
}
