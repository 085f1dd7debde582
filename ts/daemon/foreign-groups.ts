/**
 * Whether an original cmirrord has a log (R14): it opens a process group of corosync for each, named as the log. Two daemons of
 * different kinds on one log know nothing of each other's marks, so a log that has such a group is not resumed here; and when one
 * appears while the log is served, that is said at once and stands in the status.
 *
 * Corosync is asked before each RESUME and every few seconds after. It may never answer.
 */

const lookMs = 5_000;
/** Its answer takes some milliseconds. */
const answerMsMax = 10_000;
/** What a group's name has room for; a longer uuid is cut. */
const nameBytesMax = 128;

export interface ForeignGroupsOptions {
  /** Names of all groups of the cluster; may never answer. */
  readonly ask: () => Promise<readonly string[]>;
  /** Uuids of the logs that are served here. */
  readonly served: () => Iterable<string>;
  readonly found: (uuid: string) => void;
  readonly gone: (uuid: string) => void;
}

export class ForeignGroups {
  readonly #options: ForeignGroupsOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #found = new Set<string>();
  #looking = false;
  /** The question that has no answer yet: each costs a descriptor and a place in a helper's queue for as long as corosync is silent. */
  #asked: Promise<ReadonlySet<string> | string> | null = null;

  constructor(options: ForeignGroupsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.look(), lookMs);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** True while an original cmirrord has this log, as far as the last look tells. */
  has(uuid: string): boolean {
    return this.#found.has(uuid);
  }

  /** Why the log must not be resumed; empty: nothing speaks against it. */
  async whyNot(uuid: string): Promise<string> {
    const names = await this.#ask();
    if (typeof names === 'string') return names;
    if (!names.has(groupOf(uuid))) return '';
    return 'an original cmirrord has it on some host of this cluster: deactivate the mirror there, or use cmirrord everywhere';
  }

  /** Looks once, unless a look is under way. */
  async look(): Promise<void> {
    const served = [...this.#options.served()];
    if (this.#looking || (served.length === 0 && this.#found.size === 0)) return;
    this.#looking = true;
    const names = await this.#ask();
    this.#looking = false;
    // Not known now: what was found stands.
    if (typeof names === 'string') return;
    for (const uuid of [...this.#found]) {
      if (served.includes(uuid) && names.has(groupOf(uuid))) continue;
      this.#found.delete(uuid);
      this.#options.gone(uuid);
    }
    for (const uuid of served) {
      if (this.#found.has(uuid) || !names.has(groupOf(uuid))) continue;
      this.#found.add(uuid);
      this.#options.found(uuid);
    }
  }

  /** The names, or why they are not known. */
  async #ask(): Promise<ReadonlySet<string> | string> {
    let timer: NodeJS.Timeout | null = null;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`corosync has not named its groups for ${answerMsMax / 1000} s`), answerMsMax);
    });
    this.#asked ??= this.#options.ask().then(
      (names) => this.#answered(new Set(names)),
      (error) => this.#answered(error instanceof Error ? error.message : String(error)),
    );
    const answer = await Promise.race([this.#asked, late]);
    if (timer !== null) clearTimeout(timer);
    return answer;
  }

  #answered(answer: ReadonlySet<string> | string): ReadonlySet<string> | string {
    this.#asked = null;
    return answer;
  }
}

/** The name with its NUL, as the original gives it to corosync. */
function groupOf(uuid: string): string {
  return `${uuid}\0`.slice(0, nameBytesMax);
}
