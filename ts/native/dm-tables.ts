/**
 * Which userspace dirty logs the kernel's device-mapper tables name. Needs root; reads only.
 *
 * The question is asked on a helper thread and may stay unanswered as long as somebody holds device-mapper's locks;
 * nothing waits for it meanwhile, and the process can end.
 */
import { addon } from './addon.js';

/** False when nobody could be asked: no descriptor or thread was left. */
export type NativeReadMirrorLogs = (answered: (errno: number, uuids: readonly string[]) => void) => boolean;

/** Calls `answered` later, with 0 and the uuids in live and in loaded tables, or with an errno. */
export const readMirrorLogs: NativeReadMirrorLogs = (answered) => addon.readMirrorLogs(answered);
