// Run by test_typescript_client.py: drives the client of npm as it is by default, asserts, and prints what it did.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

const [name, version] = process.argv.slice(2);
const { RunloopSDK, Runloop, toFile } = await import(name);
const secret = `npm-token-${version.replaceAll('.', '-')}`;
const starter = `runloop:runloop/starter-${process.arch === 'arm64' ? 'arm64' : 'x86_64'}`;
const did = (what) => console.log(what);
const sdk = new RunloopSDK(); // RUNLOOP_BASE_URL and RUNLOOP_API_KEY, as for everybody

async function commands(devbox) {
  const heard = { stdout: '', stderr: '' };
  const result = await devbox.cmd.exec('seq 300; echo err >&2; exit 3', {
    stdout: (line) => (heard.stdout += line),
    stderr: (line) => (heard.stderr += line),
  });
  const expected = Array.from({ length: 300 }, (_, n) => `${n + 1}\n`).join('');
  assert.deepEqual([result.exitCode, await result.stdout(), await result.stderr()], [3, expected, 'err\n']);
  assert.equal(heard.stdout, expected);
  assert.equal(heard.stderr, 'err\n');
  did('exec with callbacks');
  const sleeping = await devbox.cmd.execAsync('sleep 1000');
  await sleeping.kill();
  assert.equal((await sleeping.result()).exitCode, 137);
  did('kill');
  const shells = [devbox.shell('main'), devbox.shell()];
  await shells[0].exec('cd /tmp; export A=5');
  assert.equal(await (await shells[0].exec('echo $A $PWD')).stdout(), '5 /tmp\n');
  assert.equal(await (await shells[1].exec('echo $A $PWD')).stdout(), '/home/user\n');
  did('shells');
}

async function streams(devbox) {
  const command = 'for n in 1 2 3; do echo $n; done; cat';
  const execution = await sdk.api.devboxes.executeAsync(devbox.id, { command, attach_stdin: true });
  const ids = [devbox.id, execution.execution_id];
  let text = '';
  for await (const chunk of await sdk.api.devboxes.executions.streamStdoutUpdates(...ids)) {
    text += chunk.output;
    if (text === '1\n2\n3\n') break; // in the middle: the command goes on
  }
  await sdk.api.devboxes.executions.sendStdIn(...ids, { text: 'more\n', signal: 'EOF' });
  let rest = '';
  for await (const chunk of await sdk.api.devboxes.executions.streamStdoutUpdates(...ids, { offset: 6 })) rest += chunk.output;
  assert.deepEqual([text, rest], ['1\n2\n3\n', 'more\n']);
  did('streams that are left and taken up again');
  const many = Array.from({ length: 40 }, (_, n) => devbox.cmd.exec(`echo ${n}`, { stdout: () => {} }));
  const outputs = await Promise.all(many.map(async (each) => await (await each).stdout()));
  assert.deepEqual(outputs, many.map((_, n) => `${n}\n`));
  did('many at once');
}

async function files(devbox) {
  const data = randomBytes(3_000_000);
  await devbox.file.upload({ path: 'deep/up', file: await toFile(data, 'up') });
  const got = await devbox.file.download({ path: 'deep/up' });
  assert.ok(data.equals(Buffer.from(await got.arrayBuffer())));
  await devbox.file.write({ file_path: 't', contents: 'grün\n' });
  assert.equal(await devbox.file.read({ file_path: 't' }), 'grün\n');
  await assert.rejects(devbox.file.read({ file_path: 'missing' }), Runloop.NotFoundError);
  did('files');
}

async function objects() {
  const data = randomBytes(20_000_000);
  const made = await sdk.storageObject.uploadFromBuffer(data, 'bytes', 'binary');
  assert.ok(data.equals(await made.downloadAsBuffer()));
  const text = await sdk.storageObject.uploadFromText('grün', 'text');
  assert.equal(await text.downloadAsText(), 'grün');
  const mounts = [{ type: 'object_mount', object_id: text.id, object_path: '/home/user/mounted' }];
  await sdk.api.secrets.create({ name: secret, value: 'hidden' });
  const devbox = await sdk.devbox.create({ mounts, secrets: { TOKEN: secret } });
  assert.equal(await (await devbox.cmd.exec('cat mounted; echo $TOKEN')).stdout(), 'grünhidden\n');
  await devbox.shutdown();
  await sdk.api.secrets.delete(secret);
  await Promise.all([made.delete(), text.delete()]);
  assert.equal((await made.getInfo()).state, 'DELETED');
  did('objects and secrets');
}

async function disks(devbox) {
  await devbox.cmd.exec('echo kept > file');
  const snapshot = await devbox.snapshotDisk({ name: 'ts' });
  const restored = await snapshot.createDevbox();
  assert.equal(await restored.file.read({ file_path: 'file' }), 'kept\n');
  await restored.shutdown();
  await snapshot.delete();
  did('snapshots');
  const blueprint = await sdk.blueprint.create({ name: `ts-${version}`, dockerfile: `FROM ${starter}\nRUN echo built > /built\n` });
  const built = await blueprint.createDevbox();
  assert.equal(await built.file.read({ file_path: '/built' }), 'built\n');
  assert.ok((await blueprint.logs()).logs.length > 0);
  await built.shutdown();
  await blueprint.delete();
  did('blueprints');
}

async function life(devbox) {
  await devbox.suspend();
  assert.equal((await devbox.awaitSuspended()).status, 'suspended');
  assert.equal((await devbox.resume()).status, 'running');
  await devbox.keepAlive();
  const seen = [];
  for await (const view of sdk.api.devboxes.list({ limit: 1 })) if (seen.push(view.id) === 2) break;
  assert.equal(seen.length, 2);
  const axon = await sdk.axon.create({ name: 'ts' });
  const event = { event_type: 'e', origin: 'USER_EVENT', payload: '{}', source: 's' };
  assert.equal((await axon.publish(event)).sequence, 1);
  for await (const each of await axon.subscribeSse()) {
    assert.equal(each.sequence, 1);
    break;
  }
  did('suspend, resume, lists, axons');
}

async function errors(devbox) {
  await assert.rejects(sdk.api.devboxes.retrieve('dbx_nope'), (error) => error instanceof Runloop.NotFoundError && /dbx_nope/.test(error.message));
  await assert.rejects(sdk.api.devboxes.resume(devbox.id), Runloop.BadRequestError);
  const calls = {
    'devboxes.create_ssh_key': () => sdk.api.devboxes.createSSHKey(devbox.id),
    agents: () => sdk.agent.list(),
    scenarios: () => sdk.api.scenarios.list(),
    'scenarios.scorers': () => sdk.scorer.list(),
    benchmarks: () => sdk.api.benchmarks.list(),
    benchmark_runs: () => sdk.api.benchmarkRuns.list(),
    benchmark_jobs: () => sdk.api.benchmarkJobs.list(),
  };
  for (const [operation, call] of Object.entries(calls))
    await assert.rejects(call(), (error) => error.status === 501 && error.message.includes(` ${operation}`));
  // A retried call would have come more than once.
  let asked = 0;
  const counting = new Runloop({ fetch: (...args) => (asked++, fetch(...args)) });
  await assert.rejects(counting.devboxes.createSSHKey(devbox.id), (error) => error.status === 501);
  assert.equal(asked, 1);
  await assert.rejects(new RunloopSDK({ bearerToken: 'wrong' }).devbox.list(), Runloop.AuthenticationError);
  did('errors');
}

const devbox = await sdk.devbox.create({ name: 'typescript' });
for (const part of [commands, streams, files, objects, disks, life, errors]) await part(devbox);
assert.equal((await devbox.shutdown()).status, 'shutdown');
did('all done');
