//! The end under load: lookups, batches whose bodies are still on their way, and reloads of changed data when SIGTERM
//! comes. Every answer that begins is whole, what the server was seen to have is answered (a reload perhaps by its
//! cancellation), and the end comes in time.
//!
//! Full form, some minutes:
//! `WAYBILL_TEST_SIGTERM_ROUNDS=100 cargo test --release --test it slow::ending -- --nocapture`

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::support::client::{Broken, Client, post, request};
use crate::support::{DEADLINE, Server, Signal, csv, row, shipment};

/// Another number of rounds.
const ROUNDS_VARIABLE: &str = "WAYBILL_TEST_SIGTERM_ROUNDS";
const ROUNDS_DEFAULT: usize = 3;
/// In the full form, in each round of so many some clients never send the rest of what they began.
const DAWDLING_EVERY: usize = 4;
/// Where nobody dawdles: far more than is needed, on a busy machine too.
const GRACE_PERIOD: Duration = DEADLINE;
const GRACE_PERIOD_SHORT: Duration = Duration::from_secs(5);
/// How long after the grace period the server may end, in the full form, which has a machine for itself.
const LATE_MAX: Duration = Duration::from_secs(1);
/// As many as a batch may ask for.
const SHIPMENTS: usize = 1000;
/// In one file and in the other.
const STATUSES: [&str; 2] = ["scanned", "delivered"];

fn file(status: &str) -> String {
    let rows: Vec<_> =
        (0..SHIPMENTS).map(|number| row(&format!("TN{number}"), "DHL").replace(STATUSES[0], status)).collect();
    csv(&rows)
}

/// A request, and what it is answered from one file and from the other.
struct Question {
    method: &'static str,
    request: String,
    answers: [String; 2],
    /// May be refused because the end has come.
    may_be_refused: bool,
}

/// How the answer to a reload begins that the end has cancelled.
const REFUSED: &str =
    r#"{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the server is shutting down","#;

impl Question {
    fn lookup() -> Question {
        Question {
            method: "GET",
            request: request("GET", "/v1/shipments/DHL/TN7", &[]),
            answers: STATUSES.map(|status| shipment("TN7", "DHL").replace(STATUSES[0], status)),
            may_be_refused: false,
        }
    }

    fn batch(count: usize) -> Question {
        let joined = |each: &dyn Fn(usize) -> String| (0..count).map(each).collect::<Vec<_>>().join(",");
        let lookups = joined(&|number| format!(r#"{{"tracking_number":"TN{number}"}}"#));
        let results = joined(&|number| {
            let found = shipment(&format!("TN{number}"), "DHL");
            format!(r#"{{"tracking_number":"TN{number}","carrier":null,"shipments":[{found}]}}"#)
        });
        Question {
            method: "POST",
            request: post("/v1/lookup", &[], &format!(r#"{{"lookups":[{lookups}]}}"#)),
            answers: STATUSES.map(|status| format!(r#"{{"results":[{results}]}}"#).replace(STATUSES[0], status)),
            may_be_refused: false,
        }
    }

    fn reload() -> Question {
        let answers = [r#"{"result":"ok","#, r#"{"result":"unchanged","#].map(str::to_owned);
        Question { method: "POST", request: request("POST", "/-/reload", &[]), answers, may_be_refused: true }
    }

    /// Whether the next answer says that it is the last.
    fn try_answer(&self, client: &mut Client) -> Result<bool, Broken> {
        let answer = client.try_answer_to(self.method)?;
        let is_expected = self.answers.iter().any(|expected| match expected.strip_suffix(',') {
            Some(beginning) => answer.text().starts_with(beginning),
            None => answer.text() == expected,
        });
        let is_refused = self.may_be_refused && answer.status == 503 && answer.text().starts_with(REFUSED);
        assert!(answer.status == 200 && is_expected || is_refused, "{}{}", answer.head, answer.text());
        Ok(answer.field("connection").as_deref() == Some("close"))
    }

    fn assert_answered(&self, client: &mut Client) {
        self.try_answer(client).unwrap_or_else(|broken| panic!("{broken:?} to {}", self.request));
    }

    /// Both halves of the request's bytes.
    fn halves(&self) -> (&str, &str) {
        self.request.split_at(self.request.len() / 2)
    }
}

/// What clients met until the server was gone.
#[derive(Debug, Default)]
struct Met {
    whole: usize,
    unanswered: usize,
    truncated: Vec<String>,
}

impl AddAssign for Met {
    fn add_assign(&mut self, other: Met) {
        self.whole += other.whole;
        self.unanswered += other.unanswered;
        self.truncated.extend(other.truncated);
    }
}

/// A client that asks on and on.
struct Asker<'q> {
    address: SocketAddr,
    question: &'q Question,
    /// Requests at once: 1, 2, … so many, 1, …
    pipelined_max: usize,
    /// Answers until it is at it.
    busy_after: usize,
}

impl<'q> Asker<'q> {
    /// Asks until no more connections are taken. `prepare` is called before each request. The receiver hears that it
    /// is at it.
    fn start<'s>(
        self,
        scope: &'s Scope<'s, '_>,
        prepare: impl FnMut() + Send + 's,
    ) -> (ScopedJoinHandle<'s, Met>, mpsc::Receiver<()>)
    where
        'q: 's,
    {
        let (busy, is_busy) = mpsc::channel();
        (scope.spawn(move || self.ask_until_refused(prepare, &busy)), is_busy)
    }

    fn ask_until_refused(&self, mut prepare: impl FnMut(), busy: &mpsc::Sender<()>) -> Met {
        let mut met = Met::default();
        while let Ok(mut client) = Client::try_connect(self.address) {
            for pipelined in (1..=self.pipelined_max).cycle() {
                if met.whole >= self.busy_after {
                    // Nobody waits for this any more once all clients were busy.
                    let _ = busy.send(());
                }
                prepare();
                let goes_on = self.ask_once(&mut client, pipelined, &mut met);
                if !goes_on {
                    break;
                }
            }
        }
        met
    }

    /// Asks so many times at once, in two pieces. Whether the connection goes on.
    fn ask_once(&self, client: &mut Client, pipelined: usize, met: &mut Met) -> bool {
        let bytes = self.question.request.repeat(pipelined).into_bytes();
        let mut goes_on = true;
        let (first, rest) = bytes.split_at(bytes.len() / 3);
        for piece in [first, rest] {
            if let Err(error) = client.stream().write_all(piece) {
                assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
                goes_on = false;
            }
        }
        for _ in 0..pipelined {
            match self.question.try_answer(client) {
                Ok(is_last) => {
                    met.whole += 1;
                    goes_on &= !is_last;
                }
                Err(Broken::NoAnswer) => {
                    met.unanswered += 1;
                    goes_on = false;
                }
                Err(Broken::Truncated(answer)) => {
                    met.truncated.push(format!("{} bytes: {:.300}", answer.len(), answer));
                    return false;
                }
            }
        }
        goes_on
    }
}

/// Puts another file in the place of the served one, as an export should.
fn replace(data: &Path, file: &str) {
    let next = data.with_extension("next");
    std::fs::write(&next, file).unwrap();
    std::fs::rename(next, data).unwrap();
}

struct Questions {
    lookup: Question,
    /// So short that its thread answers it at once.
    short_batch: Question,
    /// Answered aside.
    long_batch: Question,
    reload: Question,
}

/// One server's life under load; what its clients met, and the time from SIGTERM to its end.
fn round(questions: &Questions, grace_period: Duration, somebody_dawdles: bool) -> (Met, Duration) {
    let Questions { lookup, short_batch, long_batch, reload } = questions;
    let files = STATUSES.map(file);
    let mut server = Server::start(&files[0], &["--grace-period", &grace_period.as_secs().to_string()]);
    let (public, admin, data) = (server.public, server.admin.unwrap(), server.data.clone());
    std::thread::scope(|scope| {
        let asker = |question, pipelined_max, busy_after| {
            Asker { address: public, question, pipelined_max, busy_after }.start(scope, || ())
        };
        let mut askers =
            vec![asker(lookup, 8, 100), asker(lookup, 8, 100), asker(short_batch, 2, 10), asker(long_batch, 2, 10)];
        let mut next_files = files.iter().cycle().skip(1);
        let reloads = Asker { address: admin, question: reload, pipelined_max: 1, busy_after: 1 };
        askers.push(reloads.start(scope, move || replace(&data, next_files.next().unwrap())));
        for (_, is_busy) in &askers {
            is_busy.recv_timeout(DEADLINE).unwrap();
        }

        let begun = |question: &Question| {
            let mut client = server.client();
            client.send(question.halves().0);
            client
        };
        let halves: Vec<_> =
            [lookup, short_batch, long_batch].map(|question| (question, begun(question))).into_iter().collect();
        let dawdlers: Vec<_> =
            if somebody_dawdles { [lookup, long_batch].map(begun).into_iter().collect() } else { Vec::new() };
        let mut idle = idle_client(&server, lookup);
        let mut whole = server.client();
        whole.send(&long_batch.request);
        let mut operator = server.admin_client();
        // The reload has been read when the answer to the request before it is there.
        operator.send(request("GET", "/livez", &[]) + &reload.request);
        assert_eq!(operator.answer_to("GET").status, 200);

        server.signal(Signal::TERM);
        let asked_to_end = Instant::now();
        idle.expect_end();
        // By now every other connection was told to finish, too.
        let mut met = Met::default();
        for (question, mut client) in halves {
            client.send(question.halves().1);
            question.assert_answered(&mut client);
            met.whole += 1;
        }
        long_batch.assert_answered(&mut whole);
        reload.assert_answered(&mut operator);
        met.whole += 2;
        drop((whole, operator));
        assert_eq!(server.wait().code(), Some(0));
        let ended_after = asked_to_end.elapsed();
        drop(dawdlers);
        for (asker, _) in askers {
            met += asker.join().unwrap();
        }
        (met, ended_after)
    })
}

/// A client that has nothing more to ask: its connection ends when all are told to finish.
fn idle_client(server: &Server, question: &Question) -> Client {
    let mut client = server.client();
    client.send(&question.request);
    question.assert_answered(&mut client);
    client
}

/// The most that all buffers between a client and the server may hold.
const REQUEST_BYTES_MAX: usize = 64 << 20;

#[test]
fn what_a_client_has_not_taken_before_the_end_comes_whole_whatever_it_has_asked_besides() {
    let question = Question::lookup();
    let mut server = Server::start(file(STATUSES[0]), &["--threads", "1", "--grace-period", "30s"]);
    let mut idle = idle_client(&server, &question);
    let mut client = server.client();
    let requests = question.request.repeat(1000);
    client.stream().set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let filled =
        (0..REQUEST_BYTES_MAX / requests.len()).find_map(|_| client.stream().write_all(requests.as_bytes()).err());
    assert_eq!(filled.map(|error| error.kind()), Some(ErrorKind::WouldBlock), "the server stops reading");
    server.signal(Signal::TERM);
    idle.expect_end();
    let mut whole = 0;
    let broken = loop {
        match question.try_answer(&mut client) {
            Ok(_) => whole += 1,
            Err(broken) => break broken,
        }
    };
    assert!(matches!(broken, Broken::NoAnswer), "after {whole}: {broken:?}");
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
}

/// More than are accepted within the time that the server waits for late requests, and fewer than the kernel queues.
const WAITING_CLIENTS: usize = 3000;

#[test]
fn who_waits_to_be_accepted_when_the_end_comes_is_answered() {
    let question = Question::lookup();
    let mut server = Server::start(file(STATUSES[0]), &["--threads", "1", "--grace-period", "30s"]);
    server.signal(Signal::STOP);
    let mut clients: Vec<Client> = (0..WAITING_CLIENTS).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send(&question.request);
    }
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    for mut client in clients {
        question.assert_answered(&mut client);
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn under_load_it_ends_in_time_and_truncates_no_answer() {
    let rounds = std::env::var(ROUNDS_VARIABLE).ok().map(|rounds| rounds.parse::<usize>().unwrap());
    let questions = Questions {
        lookup: Question::lookup(),
        short_batch: Question::batch(SHIPMENTS / 5),
        long_batch: Question::batch(SHIPMENTS),
        reload: Question::reload(),
    };
    let mut met = Met::default();
    let mut slowest = [Duration::ZERO; 2];
    for number in 1..=rounds.unwrap_or(ROUNDS_DEFAULT) {
        let somebody_dawdles = rounds.is_some() && number % DAWDLING_EVERY == 0;
        let grace_period = if somebody_dawdles { GRACE_PERIOD_SHORT } else { GRACE_PERIOD };
        let (of_round, ended_after) = round(&questions, grace_period, somebody_dawdles);
        assert!(of_round.truncated.is_empty(), "round {number}: {of_round:#?}");
        assert!(ended_after <= grace_period + LATE_MAX, "round {number}: {ended_after:?}");
        slowest[usize::from(somebody_dawdles)] = slowest[usize::from(somebody_dawdles)].max(ended_after);
        met += of_round;
        println!("round {number}: {ended_after:.3?}; so far {} whole, {} unanswered", met.whole, met.unanswered);
    }
    println!("slowest end: {:.3?}; where somebody dawdled: {:.3?} of {GRACE_PERIOD_SHORT:?}", slowest[0], slowest[1]);
}
