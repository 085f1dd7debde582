/** The admin worker's own entry on a thread that is busy 20 ms of every 50; `?after=MS` says how long after the main thread. */
import '../dist/admin/admin-entry.js';
import { keepBusy } from './keep-busy.mjs';

keepBusy(Number(new URL(import.meta.url).searchParams.get('after') ?? 0));
