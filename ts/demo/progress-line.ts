/**
 * Text for people: headlines, plain lines, and one line that is overwritten while something runs. Where standard output is
 * no terminal the live line becomes a plain line now and then.
 */

const plainEveryMs = 2_000;
const columnsDefault = 80;

export class ProgressLine {
  readonly #out: NodeJS.WriteStream;
  #live = false;
  #nextPlainMs = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  headline(text: string): void {
    this.say('');
    this.say(this.#out.isTTY ? `\u001b[1m${text}\u001b[0m` : text);
  }

  say(text: string): void {
    this.end();
    this.#out.write(`${text}\n`);
  }

  /** Replaces the live line. */
  show(text: string, nowMs: number): void {
    if (this.#out.isTTY) {
      this.#live = true;
      this.#out.write(`\r\u001b[2K${`  ${text}`.slice(0, (this.#out.columns ?? columnsDefault) - 1)}`);
    } else if (nowMs >= this.#nextPlainMs) {
      this.#nextPlainMs = nowMs + plainEveryMs;
      this.#out.write(`  ${text}\n`);
    }
  }

  /** Leaves what the live line shows standing. */
  end(): void {
    if (this.#live) this.#out.write('\n');
    this.#live = false;
    this.#nextPlainMs = 0;
  }
}
