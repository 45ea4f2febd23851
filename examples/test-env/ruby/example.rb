# frozen_string_literal: true

# Calls a test server with the gem grpc: ruby -I packages/protos/ruby/lib example.rb ADDRESS TOKEN
#
# "make proto-packages" makes the files of the protocol; Gitaly's own gem `gitaly` has the same names.

require 'openssl'
require 'gitaly'

address, token = ARGV

# Returns the metadata of one call: a signature, valid for half a minute.
def credentials(token)
  now = Time.now.to_i.to_s
  signature = OpenSSL::HMAC.hexdigest('SHA256', token, now)
  { 'authorization' => "Bearer v2.#{signature}.#{now}" }
end

target = address.delete_prefix('tcp://') # unix:PATH stays
repositories = Gitaly::RepositoryService::Stub.new(target, :this_channel_is_insecure)
repository = Gitaly::Repository.new(storage_name: 'default', relative_path: 'ruby.git')
create = Gitaly::CreateRepositoryRequest.new(repository: repository)
repositories.create_repository(create, metadata: credentials(token))
question = Gitaly::RepositoryExistsRequest.new(repository: repository)
answer = repositories.repository_exists(question, metadata: credentials(token))
puts "exists: #{answer.exists}"
