// A2: what the raft thread says, and keeps, while the main thread hangs.

import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { causes } from '../../src/core/causes.ts';
import { MAX_HUNG_LINES } from '../../src/core/limits.ts';
import { HungMain } from '../../src/threads/hungMain.ts';
import type { FromRaft } from '../../src/threads/messages.ts';
import { temporaryDirectory } from '../support/server.ts';

function make(isJson?: boolean): { main: HungMain; posted: FromRaft[]; state: { isHung: boolean }; text: () => string } {
  const posted: FromRaft[] = [];
  const state = { isHung: true };
  const path = join(temporaryDirectory(), 'stderr');
  const file = openSync(path, 'w');
  onTestFinished(() => closeSync(file));
  const main = new HungMain(
    (message) => posted.push(message),
    () => state.isHung,
    isJson === undefined ? undefined : { file, isJson },
  );
  return { main, posted, state, text: () => readFileSync(path, 'utf8') };
}

describe('while the main thread hangs', () => {
  test('what is said is written at once, in the form of the log, and not once more when it answers', () => {
    const json = make(true);
    json.main.log('warn', 'it "hangs"');
    expect(JSON.parse(json.text())).toMatchObject({ level: 40, msg: 'it "hangs"', pid: process.pid });
    const words = make(false);
    words.main.log('warn', 'it\nhangs');
    expect(words.text()).toMatch(/^\d{4}-\d\d-\d\dT\S+Z warning: it hangs\n$/);
    for (const { posted, main, state } of [json, words]) {
      state.isHung = false;
      main.log('warn', 'it answers');
      expect(posted).toEqual([{ kind: 'log', level: 'warn', text: 'it answers' }]);
    }
  });

  test('what waits for it is bounded: the newest causes, some lines, and how many are missing', () => {
    const { main, posted, state } = make();
    for (let i = 0; i < MAX_HUNG_LINES + 7; i += 1) {
      main.log('info', `line ${i}`);
      main.causes([causes.notJoined(2)], `why ${i}`);
    }
    expect(posted.length).toBe(MAX_HUNG_LINES);
    state.isHung = false;
    main.log('warn', 'it answers');
    expect(posted.slice(MAX_HUNG_LINES)).toMatchObject([
      { kind: 'causes', whyNoLeader: `why ${MAX_HUNG_LINES + 6}` },
      { kind: 'log', text: expect.stringContaining('7 lines of this log are missing') },
      { kind: 'log', text: 'it answers' },
    ]);
  });
});
