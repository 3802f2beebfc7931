// What drivers and their loads do apart from any server: that no failure is lost, and no payload overwritten in flight.

import { describe, expect, it } from 'vitest';
import { type Message, takingMessages } from '../../bench/load/drivers/nats.ts';
import { mostInFlight } from '../../bench/load/paced.ts';

function messageOf(text: string, code?: number): Message & { responses: number } {
  const message = {
    subject: 'entries',
    data: Buffer.from(text),
    responses: 0,
    ...(code === undefined ? {} : { headers: { code }, reply: 'inbox' }),
    respond(): boolean {
      message.responses += 1;
      return true;
    },
  };
  return message;
}

describe('messages of NATS', () => {
  it('are seen, but for those that ask for an answer', () => {
    const seen: string[] = [];
    const take = takingMessages(
      (payload) => seen.push(Buffer.from(payload).toString()),
      () => expect.unreachable(),
    );
    const control = messageOf('', 100);
    for (const message of [messageOf('a'), control, messageOf('b')]) take(null, message);
    expect(seen).toEqual(['a', 'b']);
    expect(control.responses).toBe(1);
  });

  it('that the judge refuses are an error, of which the first counts, and end what is seen', () => {
    const seen: string[] = [];
    const errors: unknown[] = [];
    const see = (payload: Uint8Array): void => {
      seen.push(Buffer.from(payload).toString());
      throw new Error(`not ${seen.at(-1)}`);
    };
    const take = takingMessages(see, (error) => errors.push(error));
    take(null, messageOf('a'));
    take(null, messageOf('b'));
    take(new Error('lost'), messageOf(''));
    expect(seen).toEqual(['a']);
    expect(errors).toEqual([new Error('not a')]);
  });
});

describe('appends at a pace', () => {
  it('are in flight only as far as their payloads are not made anew', () => {
    expect(mostInFlight(65_535)).toBe(8192);
    expect(mostInFlight(639)).toBe(319);
    expect(mostInFlight(1)).toBe(1);
  });
});
