//! The operations of DynamoDB that a store uses, with failures on command. Tests on emulators check the rest.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the fake does with a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// Runs it.
    Done,
    /// Runs this number of entries of a batch, and returns the rest as unprocessed.
    Some(usize),
    /// Runs it after this delay.
    Late(Duration),
    /// Runs nothing and responds with this status and error code.
    Refused(u16, &'static str),
    /// Runs nothing and closes the connection.
    Cut,
    /// Runs it and closes the connection before the response.
    Lost,
    /// Runs nothing and never responds.
    Silence,
    /// Runs it; the response is HTML.
    Garbage,
    /// Runs it; a failed condition does not return the existing item.
    Untold,
    /// Runs nothing and responds with this.
    Instead(fn() -> Value),
}

/// A request, with everything that its fate may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Number of requests before this one.
    pub number: usize,
    /// Name of the operation.
    pub operation: &'a str,
    /// Number of entries of its batch; 1 without a batch.
    pub entries: usize,
}

/// A running fake. It stops when dropped.
#[derive(Debug)]
pub struct FakeDynamoDb {
    /// Its endpoint, `http://127.0.0.1:PORT`.
    pub url: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    items: BTreeMap<(String, String), Value>,
    /// Operation and number of entries of each request.
    requests: Vec<(String, usize)>,
}

impl FakeDynamoDb {
    /// Starts a fake. `fate` decides by the number of the request, from 0.
    pub async fn start(fate: impl Fn(usize) -> Fate + Send + Sync + 'static) -> Self {
        Self::start_by(move |call| fate(call.number)).await
    }

    /// Starts a fake. `fate` decides by the request.
    pub async fn start_by(fate: impl Fn(&Call<'_>) -> Fate + Send + Sync + 'static) -> Self {
        Self::of(Arc::default(), fate).await
    }

    /// Starts another fake on the same table, without failures.
    pub async fn unfailing(&self) -> Self {
        Self::of(Arc::clone(&self.state), |_| Fate::Done).await
    }

    async fn of(state: Arc<Mutex<State>>, fate: impl Fn(&Call<'_>) -> Fate + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fate = Arc::new(fate);
        let kept = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, fate) = (Arc::clone(&kept), Arc::clone(&fate));
                let service =
                    service_fn(move |request| answer(request, Arc::clone(&kept), Arc::clone(&fate)));
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, state, server }
    }

    /// Returns the number of entries of each request so far.
    pub fn requests(&self) -> Vec<usize> {
        self.state.lock().unwrap().requests.iter().map(|(_, entries)| *entries).collect()
    }

    /// Returns the operation of each request so far.
    pub fn operations(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.iter().map(|(operation, _)| operation.clone()).collect()
    }

    /// Returns all items as JSON.
    pub fn text(&self) -> String {
        self.state.lock().unwrap().items.values().cloned().collect::<Value>().to_string()
    }

    /// Writes an item with any attributes.
    pub fn plant(&self, partition: &str, sort: &str, attributes: Value) {
        self.state.lock().unwrap().items.insert((partition.to_owned(), sort.to_owned()), attributes);
    }
}

impl Drop for FakeDynamoDb {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    fate: Arc<impl Fn(&Call<'_>) -> Fate>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let operation =
        request.headers()["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let number = state.lock().unwrap().requests.len();
    let fate = fate(&Call { number, operation: &operation, entries: entries(&asked) });
    if let Fate::Late(delay) = fate {
        tokio::time::sleep(delay).await;
    }
    let (status, answer) = {
        let mut state = state.lock().unwrap();
        state.requests.push((operation.clone(), entries(&asked)));
        match fate {
            Fate::Refused(status, code) => {
                (status, json!({"__type": format!("com.amazonaws#{code}"), "message": "no"}))
            }
            Fate::Cut | Fate::Silence => (0, Value::Null),
            Fate::Some(most) => state.act(&operation, &asked, most),
            Fate::Instead(answer) => (200, answer()),
            Fate::Untold => {
                let (status, mut answer) = state.act(&operation, &asked, usize::MAX);
                answer.as_object_mut().unwrap().remove("Item");
                (status, answer)
            }
            Fate::Done | Fate::Late(_) | Fate::Lost | Fate::Garbage => {
                state.act(&operation, &asked, usize::MAX)
            }
        }
    };
    match fate {
        Fate::Cut | Fate::Lost => return Err("closed on command"),
        Fate::Silence => std::future::pending().await,
        _ => {}
    }
    let body =
        if matches!(fate, Fate::Garbage) { "<html>welcome</html>".to_owned() } else { answer.to_string() };
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    Ok(response.body(Full::new(Bytes::from(body))).unwrap())
}

fn entries(asked: &Value) -> usize {
    let Some(table) = asked["RequestItems"].get("t") else { return 1 };
    table.as_array().or_else(|| table["Keys"].as_array()).unwrap().len()
}

fn place(attributes: &Value) -> (String, String) {
    let text = |name: &str| attributes[name]["S"].as_str().unwrap().to_owned();
    (text("pk"), text("sk"))
}

impl State {
    /// Runs an operation; of a batch only the first `most` entries.
    fn act(&mut self, operation: &str, asked: &Value, most: usize) -> (u16, Value) {
        let table = &asked["RequestItems"]["t"];
        match operation {
            "BatchWriteItem" => {
                let entries = table.as_array().unwrap();
                let (done, left) = entries.split_at(most.min(entries.len()));
                for item in done.iter().map(|entry| &entry["PutRequest"]["Item"]) {
                    self.items.insert(place(item), item.clone());
                }
                (
                    200,
                    json!({"UnprocessedItems": if left.is_empty() { json!({}) } else { json!({"t": left}) }}),
                )
            }
            "BatchGetItem" => {
                let keys = table["Keys"].as_array().unwrap();
                let (done, left) = keys.split_at(most.min(keys.len()));
                let found: Vec<_> = done.iter().filter_map(|key| self.items.get(&place(key))).collect();
                let left = if left.is_empty() { json!({}) } else { json!({"t": {"Keys": left}}) };
                (200, json!({"Responses": {"t": found}, "UnprocessedKeys": left}))
            }
            "PutItem" => {
                let item = &asked["Item"];
                assert_eq!(asked["ConditionExpression"], "attribute_not_exists(pk)");
                if let Some(there) = self.items.get(&place(item)) {
                    let code = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                    let mut answer = json!({"__type": code, "message": "no"});
                    if asked["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD" {
                        answer["Item"] = there.clone();
                    }
                    return (400, answer);
                }
                self.items.insert(place(item), item.clone());
                (200, json!({}))
            }
            "Query" => (200, self.query(asked)),
            other => panic!("{other} is not faked"),
        }
    }

    /// Returns a page of a partition, or of the keys with a prefix there.
    fn query(&self, asked: &Value) -> Value {
        let value = |name: &str| asked["ExpressionAttributeValues"][name]["S"].as_str().unwrap_or_default();
        let (partition, prefix) = (value(":pk"), value(":prefix"));
        let backwards = asked["ScanIndexForward"] == false;
        let after = asked.get("ExclusiveStartKey").map(place);
        let comes = |key: &(String, String)| match &after {
            Some(after) => {
                if backwards {
                    key < after
                } else {
                    key > after
                }
            }
            None => true,
        };
        let first = (partition.to_owned(), prefix.to_owned());
        let within = self
            .items
            .range(first..)
            .take_while(|((of, sort), _)| of == partition && sort.starts_with(prefix));
        let mut found: Vec<_> = within.filter(|(key, _)| comes(key)).collect();
        if backwards {
            found.reverse();
        }
        let limit = usize::try_from(asked["Limit"].as_u64().unwrap()).unwrap();
        let is_cut = found.len() > limit;
        found.truncate(limit);
        let mut page = json!({"Items": found.iter().map(|(_, item)| item).collect::<Vec<_>>()});
        if let Some(((of, sort), _)) = found.last().filter(|_| is_cut) {
            page["LastEvaluatedKey"] = json!({"pk": {"S": of}, "sk": {"S": sort}});
        }
        page
    }
}
