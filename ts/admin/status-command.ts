/** `lockstep status`: once, or again and again, as a table or as JSON. */
import { askDaemon, silentEngine } from './ask-daemon.js';
import { NoDaemonError } from './control-client.js';
import { dmMirrors, dmNames } from './dm-names.js';
import { chooseLog } from './log-choice.js';
import { statusLines } from './status-text.js';
import { type StatusView, statusView, unheardMirrors } from './status-view.js';
import { Exit, type Terminal } from './terminal.js';

export interface StatusOptions {
  readonly socket: string;
  readonly json: boolean;
  readonly watch: boolean;
  readonly intervalMs: number;
  /** Only these; all when empty. */
  readonly logs: readonly string[];
}

const clearScreen = '\x1b[H\x1b[J';

export async function statusCommand(options: StatusOptions, terminal: Terminal): Promise<Exit> {
  if (!options.watch) {
    const view = await look(options);
    terminal.out(options.json ? `${JSON.stringify(view, null, 2)}\n` : text(view, terminal));
    return view.problems.length > 0 ? Exit.trouble : Exit.ok;
  }
  let stopped = false;
  const stop = terminal.stopped.then(() => {
    stopped = true;
  });
  let code: Exit = Exit.ok;
  while (!stopped) {
    code = await show(options, terminal);
    if (!stopped) await Promise.race([stop, sleep(options.intervalMs)]);
  }
  return code;
}

/** One look of many: that the daemon is away for a while is something to see, not the end. */
async function show(options: StatusOptions, terminal: Terminal): Promise<Exit> {
  try {
    const view = await look(options);
    if (options.json) terminal.out(`${JSON.stringify(view)}\n`);
    else terminal.out(screen(text(view, terminal), terminal));
    return view.problems.length > 0 ? Exit.trouble : Exit.ok;
  } catch (error) {
    if (!(error instanceof NoDaemonError)) throw error;
    if (options.json) terminal.err(`lockstep: ${error.message}\n`);
    else terminal.out(screen(`${error.message}\n`, terminal));
    return Exit.noDaemon;
  }
}

function screen(body: string, { columns }: Terminal): string {
  const time = new Date().toISOString().slice(0, 19).replace('T', ' ');
  return columns === null ? `${time}\n${body}\n` : `${clearScreen}${time} UTC, Ctrl-C ends\n${body}`;
}

function text(view: StatusView, terminal: Terminal): string {
  return `${statusLines(view, terminal.columns).join('\n')}\n`;
}

function look({ socket, logs }: StatusOptions): Promise<StatusView> {
  return askDaemon(socket, async (client) => {
    const [result, mirrors] = await Promise.all([client.status(), dmMirrors()]);
    const names = await dmNames(mirrors);
    const { status } = result;
    const chosen = new Set(logs.map((log) => chooseLog(log, status?.logs ?? [], names).uuid));
    const seen = (uuid: string) => chosen.size === 0 || chosen.has(uuid);
    const some = status === null ? null : { ...status, logs: status.logs.filter((log) => seen(log.uuid)) };
    const unheard = logs.length > 0 || status === null ? [] : unheardMirrors(mirrors, result);
    const view = statusView({ ...result, status: some }, names, new Date().toISOString(), unheard);
    if (view === null) throw silentEngine(socket);
    return view;
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
