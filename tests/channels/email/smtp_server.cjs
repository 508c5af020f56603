// Nodemailer's smtp-server as a test orders it: `node smtp_server.cjs MODULES OPTIONS`, the options as JSON.
// It prints a line of JSON for its port, and one for each mail that it has taken.
"use strict";
const { readFileSync } = require("node:fs");
const path = require("node:path");

const [modules, told] = process.argv.slice(2);
const { SMTPServer } = require(path.join(modules, "node_modules", "smtp-server"));
const options = JSON.parse(told);
const pem = options.certificate && readFileSync(options.certificate);

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const refuse = (reply) => Object.assign(new Error(reply.slice(4)), { responseCode: Number(reply.slice(0, 3)) });
const reply = (replies, address, callback) => callback(replies?.[address] ? refuse(replies[address]) : null);

const server = new SMTPServer({
  key: pem,
  cert: pem,
  hideSTARTTLS: !pem,
  hidePIPELINING: !options.pipelining,
  authOptional: !options.password,
  onAuth: (auth, _session, callback) =>
    auth.password === options.password ? callback(null, { user: auth.username }) : callback(refuse("535 5.7.8 No")),
  onMailFrom: ({ address }, _session, callback) =>
    callback(options.sender && address !== options.sender ? refuse("553 5.7.1 Not your address") : null),
  onRcptTo: ({ address }, _session, callback) => reply(options.recipients, address, callback),
  onData: (stream, session, callback) => {
    stream.resume();
    stream.on("end", () =>
      setTimeout(() => {
        const to = session.envelope.rcptTo[0].address;
        if (!options.mails?.[to]) say({ from: session.envelope.mailFrom.address, to, tls: session.secure, user: session.user });
        reply(options.mails, to, callback);
      }, options.pause ?? 0)
    );
  },
});
server.on("error", () => {}); // a client that hangs up
server.listen(0, "127.0.0.1", () => say({ port: server.server.address().port }));
