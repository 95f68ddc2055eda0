//! Ed25519 keys on tokens, through PKCS#11.
//!
//! Source: PKCS #11 version 3.0, `CKK_EC_EDWARDS` (the key type) and `CKM_EDDSA` (the mechanism, which
//! without parameters makes plain Ed25519 signatures).

use super::external::SignerError;
use super::pkcs11_uri::{InvalidPkcs11Uri, Pin, Pkcs11Uri};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The maximum size of a file with a PIN in bytes.
const MAX_PIN_FILE: u64 = 4096;
/// The length of an Ed25519 public key in bytes (RFC 8032, section 5.1.5).
const PUBLIC_KEY: usize = 32;
/// The header of a DER octet string of this length. Tokens return the public key with it (PKCS #11
/// version 3.0) or without.
const OCTET_STRING: [u8; 2] = [4, PUBLIC_KEY as u8];

/// An Ed25519 key on a token, which is used through a PKCS#11 module.
///
/// The token is opened when the key is first used, and stays open while the key or one of its clones
/// exists. The module stays loaded until the process ends.
#[derive(Clone)]
pub struct Pkcs11Key {
    uri: Pkcs11Uri,
    module: PathBuf,
    open: Arc<Mutex<Option<Open>>>,
}

/// Formats the key without a PIN.
impl fmt::Debug for Pkcs11Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pkcs11Key({})", self.uri)
    }
}

/// A session with a token, in which the key was found.
struct Open {
    session: Session,
    private: ObjectHandle,
    public: [u8; PUBLIC_KEY],
}

impl Pkcs11Key {
    /// Creates a key from a URI (RFC 7512). Supported are the attributes `token`, `manufacturer`,
    /// `model`, `serial`, `slot-id`, `object`, `id` and `type=private`, and after the `?`
    /// `module-path`, `pin-source` with the absolute path of a file, and `pin-value`.
    ///
    /// `module` is the path of the module for a URI without `module-path`. Nothing is opened yet.
    ///
    /// # Errors
    /// Returns an error if the URI is not valid, or neither it nor `module` names a module.
    pub fn new(uri: &str, module: Option<PathBuf>) -> Result<Self, InvalidPkcs11Uri> {
        let uri = Pkcs11Uri::parse(uri)?;
        let module = uri.module_path.clone().or(module);
        let module = module.ok_or_else(|| InvalidPkcs11Uri {
            problem: "it names no module".to_owned(),
        })?;
        Ok(Self {
            uri,
            module,
            open: Arc::default(),
        })
    }

    /// Returns the URI without its query, in which a PIN can be.
    #[must_use]
    pub fn uri(&self) -> String {
        self.uri.to_string()
    }

    /// Signs data, and returns the signature and the public key on the token.
    pub(super) fn sign(&self, data: &[u8]) -> Result<(Vec<u8>, [u8; PUBLIC_KEY]), SignerError> {
        self.with_open(|open| {
            let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
            let signature = open.session.sign(&mechanism, open.private, data);
            Ok((signature.map_err(token_failed)?, open.public))
        })
    }

    /// Returns the public key on the token.
    pub(super) fn public(&self) -> Result<[u8; PUBLIC_KEY], SignerError> {
        self.with_open(|open| Ok(open.public))
    }

    fn with_open<T>(
        &self,
        run: impl FnOnce(&Open) -> Result<T, SignerError>,
    ) -> Result<T, SignerError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match open.take() {
            Some(opened) => opened,
            None => self.find()?,
        };
        // After an error, the next call opens the token again.
        let result = run(&opened)?;
        *open = Some(opened);
        Ok(result)
    }

    fn find(&self) -> Result<Open, SignerError> {
        let module = self.load()?;
        let (slot, info) = self.token(&module)?;
        let token = info.label().trim().to_owned();
        let session = module.open_ro_session(slot).map_err(token_failed)?;
        self.log_in(&session, &info, &token)?;
        let private = self.private_key(&session, &token)?;
        let public = public_key(&session, private, &token)?;
        Ok(Open {
            session,
            private,
            public,
        })
    }

    fn load(&self) -> Result<Pkcs11, SignerError> {
        let failed = |error: Error| SignerError::Module {
            path: self.module.clone(),
            problem: match error {
                // The message of the loader contains the path as well.
                Error::LibraryLoading(error) => error.to_string(),
                error => short(&error),
            },
        };
        let module = Pkcs11::new(&self.module).map_err(failed)?;
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        match module.initialize(arguments) {
            // Another key of this process uses the module.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(error)),
        }
        // A module keeps state in the process, which other keys may use. It must not be unloaded.
        std::mem::forget(module.clone());
        Ok(module)
    }

    fn token(&self, module: &Pkcs11) -> Result<(Slot, TokenInfo), SignerError> {
        let mut labels = Vec::new();
        let mut matching = Vec::new();
        for slot in module.get_slots_with_token().map_err(token_failed)? {
            let info = module.get_token_info(slot).map_err(token_failed)?;
            if !info.token_initialized() {
                continue;
            }
            labels.push(info.label().trim().to_owned());
            if self.is_token(slot, &info) {
                matching.push((slot, info));
            }
        }
        match <[(Slot, TokenInfo); 1]>::try_from(matching) {
            Ok([token]) => Ok(token),
            Err(none) if none.is_empty() => Err(SignerError::NoToken { found: labels }),
            Err(several) => Err(SignerError::SeveralTokens {
                found: several
                    .iter()
                    .map(|(_, info)| info.label().trim().to_owned())
                    .collect(),
            }),
        }
    }

    fn is_token(&self, slot: Slot, info: &TokenInfo) -> bool {
        let uri = &self.uri;
        // Fields of a token are padded with spaces.
        let is = |wanted: &Option<String>, found: &str| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted == found.trim_end())
        };
        is(&uri.token, info.label())
            && is(&uri.manufacturer, info.manufacturer_id())
            && is(&uri.model, info.model())
            && is(&uri.serial, info.serial_number())
            && uri.slot_id.is_none_or(|id| id == slot.id())
    }

    fn log_in(&self, session: &Session, info: &TokenInfo, token: &str) -> Result<(), SignerError> {
        if !info.login_required() {
            return Ok(());
        }
        let token = token.to_owned();
        let pin = match self.pin()? {
            Some(pin) => Some(AuthPin::from(pin)),
            // The PIN is entered at the token.
            None if info.protected_authentication_path() => None,
            None => return Err(SignerError::NoPin { token }),
        };
        match session.login(UserType::User, pin.as_ref()) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Error::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            )) => Err(SignerError::WrongPin { token }),
            Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(SignerError::PinLocked { token }),
            Err(error) => Err(token_failed(error)),
        }
    }

    fn pin(&self) -> Result<Option<String>, SignerError> {
        let path = match &self.uri.pin {
            None => return Ok(None),
            Some(Pin::Value(pin)) => return Ok(Some(pin.clone())),
            Some(Pin::File(path)) => path,
        };
        let read = || {
            let mut text = String::new();
            let file = std::fs::File::open(path)?;
            file.take(MAX_PIN_FILE).read_to_string(&mut text)?;
            Ok(text)
        };
        let text = read().map_err(|source| SignerError::PinFile {
            path: path.clone(),
            source,
        })?;
        // Editors add a line break.
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    fn private_key(&self, session: &Session, token: &str) -> Result<ObjectHandle, SignerError> {
        let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
        if let Some(label) = &self.uri.object {
            template.push(Attribute::Label(label.as_bytes().to_vec()));
        }
        if let Some(id) = &self.uri.id {
            template.push(Attribute::Id(id.clone()));
        }
        let token = token.to_owned();
        let mut other = None;
        let mut keys = Vec::new();
        for key in session.find_objects(&template).map_err(token_failed)? {
            match key_type(session, key)? {
                Some(KeyType::EC_EDWARDS) => keys.push(key),
                found => other = Some(found),
            }
        }
        match (keys[..].len(), other) {
            (1, _) => Ok(keys[0]),
            (0, None) => Err(SignerError::NoKey { token }),
            (0, Some(found)) => Err(SignerError::WrongType {
                token,
                found: found.map_or_else(|| "unknown".to_owned(), |found| found.to_string()),
            }),
            (found, _) => Err(SignerError::SeveralKeys { token, found }),
        }
    }
}

/// Returns the public key of a private key: it has the same ID, or the same label if there is no ID.
fn public_key(
    session: &Session,
    private: ObjectHandle,
    token: &str,
) -> Result<[u8; PUBLIC_KEY], SignerError> {
    let attributes = [AttributeType::Id, AttributeType::Label];
    let named = session.get_attributes(private, &attributes);
    let mut named = named.map_err(token_failed)?;
    named.retain(|attribute| match attribute {
        Attribute::Id(bytes) | Attribute::Label(bytes) => !bytes.is_empty(),
        _ => false,
    });
    let by_id = named.iter().position(|a| matches!(a, Attribute::Id(_)));
    let missing = || SignerError::NoPublicKey {
        token: token.to_owned(),
    };
    let name = named.get(by_id.unwrap_or(0)).ok_or_else(missing)?.clone();
    let template = [Attribute::Class(ObjectClass::PUBLIC_KEY), name];
    for key in session.find_objects(&template).map_err(token_failed)? {
        if key_type(session, key)? != Some(KeyType::EC_EDWARDS) {
            continue;
        }
        let point = session.get_attributes(key, &[AttributeType::EcPoint]);
        for attribute in point.map_err(token_failed)? {
            if let Attribute::EcPoint(point) = attribute {
                let bytes = match point.len() {
                    PUBLIC_KEY => &point[..],
                    _ => point.strip_prefix(&OCTET_STRING).unwrap_or_default(),
                };
                return bytes.try_into().map_err(|_| SignerError::WrongType {
                    token: token.to_owned(),
                    found: format!("CKK_EC_EDWARDS with a public key of {} bytes", point.len()),
                });
            }
        }
    }
    Err(missing())
}

fn key_type(session: &Session, key: ObjectHandle) -> Result<Option<KeyType>, SignerError> {
    let found = session.get_attributes(key, &[AttributeType::KeyType]);
    let found = found.map_err(token_failed)?.into_iter().next();
    Ok(match found {
        Some(Attribute::KeyType(found)) => Some(found),
        _ => None,
    })
}

fn token_failed(error: Error) -> SignerError {
    SignerError::Token {
        problem: short(&error),
    }
}

/// Returns the name of an error code without its explanation, which has several lines.
fn short(error: &Error) -> String {
    match error {
        Error::Pkcs11(code, function) => format!("{function}: {code:?}"),
        error => error.to_string(),
    }
}
