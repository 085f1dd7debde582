/** The admin worker's own entry on a thread that is busy 20 ms of every 50. */
import '../dist/admin/admin-entry.js';
import { keepBusy } from './keep-busy.mjs';

keepBusy();
