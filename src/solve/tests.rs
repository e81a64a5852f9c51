//! The rules of apk's solver, each in the smallest index that shows it.
